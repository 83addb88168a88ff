// How long the states are that stay in memory, as they were last written or read: few buyers near their caps may be as much
// as thousands of others. An object in memory is some ten times its bytes.
export class StateSizes {
  #bytes = new Map<string, number>();
  #total = 0;

  /** Of all together, in bytes. */
  get total(): number {
    return this.#total;
  }

  copy(): StateSizes {
    const copy = new StateSizes();
    copy.#bytes = new Map(this.#bytes);
    copy.#total = this.#total;
    return copy;
  }

  set(key: string, bytes: number): void {
    this.#total += bytes - (this.#bytes.get(key) ?? 0);
    this.#bytes.set(key, bytes);
  }

  delete(key: string): void {
    this.#total -= this.#bytes.get(key) ?? 0;
    this.#bytes.delete(key);
  }
}
