// Bids that wait for a lease: all of them are woken when one is there or none will come, each no later than its own time.
export class Waiters {
  #waiting: (() => void)[] = [];

  /** False if the time was over first. */
  async isWokenWithin(timeoutMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const isWoken = await new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
      this.#waiting.push(() => resolve(true));
    });
    clearTimeout(timer);
    return isWoken;
  }

  wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
