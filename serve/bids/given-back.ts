// What a process gives back with its next request: leases that no bid will ever use, and what bids have left of others.
// The ledger hears each once, so it may be said again.
import type { LeaseRequestRecord } from '../../domain/spend-record.ts';
import { type HeldLease, isUntouched } from './lease.ts';

/** As many as a request may void, and as many as it may return the rests of. */
const VOIDS_MAX = 16;
/** Of what nobody has heard so many are kept, the latest: what is older is free again at its horizon. */
const UNHEARD_MAX = 64;

export type GivenBack = Pick<LeaseRequestRecord, 'voids' | 'returns'>;

function keepLatest(kept: Set<string> | Map<string, number>): void {
  for (const oldest of kept.keys()) {
    if (kept.size <= UNHEARD_MAX) return;
    kept.delete(oldest);
  }
}

export class ToGiveBack {
  /** Ids whose money no bid will ever use. */
  readonly #unused = new Set<string>();
  /** What bids have left of leases that are let go. */
  readonly #rests = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#unused.size + this.#rests.size === 0;
  }

  /** No bid names this lease, and none ever will. */
  voids(lease: string): void {
    this.#unused.add(lease);
  }

  /** No bid will come from this lease any more. */
  letGo(lease: HeldLease): void {
    if (isUntouched(lease)) this.voids(lease.id);
    else if (lease.leftMicros > 0) this.#rests.set(lease.id, lease.leftMicros);
  }

  /** For the next request: the latest, among them the request before it where that was not answered. */
  next(): GivenBack {
    const voids = [...this.#unused].slice(-VOIDS_MAX);
    const returns = [...this.#rests].slice(-VOIDS_MAX);
    return {
      ...(voids.length === 0 ? {} : { voids }),
      ...(returns.length === 0
        ? {}
        : { returns: returns.map(([lease, amountMicros]) => ({ lease, amountMicros })) }),
    };
  }

  /** Kafka has it. */
  sent({ voids = [], returns = [] }: GivenBack): void {
    for (const lease of voids) this.#unused.delete(lease);
    for (const { lease } of returns) this.#rests.delete(lease);
  }

  /** The ledger has not answered the request that said it: it may have rejected it, and have heard nothing. */
  again({ voids = [], returns = [] }: GivenBack): void {
    for (const lease of voids) this.#unused.add(lease);
    for (const { lease, amountMicros } of returns) this.#rests.set(lease, amountMicros);
    keepLatest(this.#unused);
    keepLatest(this.#rests);
  }
}
