// A bounded memory of keys: the ones used last stay, the oldest goes.

export class RecentKeys {
  readonly #limit: number;
  readonly #keys = new Set<string>();

  /** @param limit how many keys are remembered, at least 1. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#keys.size;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Remembers the key as the newest; false if it was remembered already. */
  add(key: string): boolean {
    const isNew = !this.#keys.delete(key);
    this.#keys.add(key);
    if (this.#keys.size > this.#limit) this.#keys.delete(this.#keys.values().next().value!);
    return isNew;
  }

  delete(key: string): void {
    this.#keys.delete(key);
  }
}
