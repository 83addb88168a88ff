// The notices that came without a lease that was held, by epoch of the watermark: what is a repeat of them.
import { MINUTE_MS } from './days.ts';
import { NOTICES_KEPT_MAX } from './leases.ts';
import { DAY_MS } from './reports.ts';

interface TakenEpoch {
  readonly startMs: number;
  /** `campaign|kind|bid`. */
  readonly names: Set<string>;
}

export class TakenNotices {
  #now: TakenEpoch = { startMs: 0, names: new Set() };
  #before: ReadonlySet<string> = new Set();

  /** `known` if it was taken in this epoch or in the last one that had a notice, if that began within 14 days; `full` if it cannot be known again. */
  take(name: string, watermarkMs: number, idMemoryMs: number): 'new' | 'known' | 'full' {
    const lengthMs = Math.min(Math.max(idMemoryMs, MINUTE_MS), 7 * DAY_MS);
    const startMs = watermarkMs - (watermarkMs % lengthMs);
    // An epoch is not gone back to, whatever `idMemoryMs` becomes.
    if (startMs > this.#now.startMs) {
      const isRecent = startMs <= this.#now.startMs + 14 * DAY_MS;
      this.#before = isRecent ? this.#now.names : new Set();
      this.#now = { startMs, names: new Set() };
    }
    if (this.#before.has(name) || this.#now.names.has(name)) return 'known';
    if (this.#now.names.size >= NOTICES_KEPT_MAX) return 'full';
    this.#now.names.add(name);
    return 'new';
  }

  get memory(): {
    readonly epochMs: number;
    readonly current: Iterable<string>;
    readonly previous: Iterable<string>;
  } {
    return { epochMs: this.#now.startMs, current: this.#now.names, previous: this.#before };
  }
}
