// Token buckets by key, bounded in number: the one that was used longest ago is forgotten, and so begins full again.
import { type Bucket, type BucketPolicy, putBack, type Taking, take } from '../domain/token-bucket.ts';

export class Buckets {
  readonly #limit: number;
  readonly #monotonicMs: () => number;
  readonly #buckets = new Map<string, Bucket>();

  /** @param limit how many buckets are kept, at least 1 */
  constructor(limit: number, monotonicMs: () => number) {
    this.#limit = limit;
    this.#monotonicMs = monotonicMs;
  }

  get size(): number {
    return this.#buckets.size;
  }

  take(key: string, policy: BucketPolicy, amount: number): Taking {
    const taking = this.#try(key, policy, amount);
    if (!taking.taken) return taking;
    this.#buckets.delete(key);
    this.#buckets.set(key, taking.bucket);
    if (this.#buckets.size > this.#limit) this.#buckets.delete(this.#buckets.keys().next().value!);
    return taking;
  }

  /** Undoes a taking. @returns what is left then */
  putBack(key: string, policy: BucketPolicy, amount: number): number {
    const before = this.#buckets.get(key);
    // One that is forgotten is full again.
    if (before === undefined) return policy.burst;
    const { bucket, left } = putBack(before, policy, amount, Math.floor(this.#monotonicMs()));
    this.#buckets.set(key, bucket);
    return left;
  }

  /** Whether one could be taken. */
  has(key: string, policy: BucketPolicy): boolean {
    return this.#try(key, policy, 1).taken;
  }

  #try(key: string, policy: BucketPolicy, amount: number): Taking {
    return take(this.#buckets.get(key), policy, amount, Math.floor(this.#monotonicMs()));
  }
}
