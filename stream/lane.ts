// One way out of the sink: batches wait in line, are taken some at a time, in order, and one lot is under way at a time.
import type { Batch } from './batch.ts';

export interface LaneOptions {
  /** How much of what this lane carries is in a batch; one that has none of it passes at once. */
  sizeOf(batch: Batch): number;
  /** A lot is taken until it has so much. */
  readonly most: number;
  /** A lot begins no sooner than `everyMs` after the one before, nor than five times what that took, unless so much waits. */
  readonly enough: number;
  readonly everyMs: number;
  /** Resolves when all of it has arrived, however often that took. */
  work(batches: readonly Batch[]): Promise<void>;
}

export interface Lane {
  /** Resolves when the batch has arrived; never after `close`, nor once it is forgotten. */
  add(batch: Batch): Promise<void>;
  /** Those that wait in line do so no more; the lot that is under way goes on. */
  forget(batches: ReadonlySet<Batch>): void;
  close(): void;
}

/** A busy store gets fewer and larger lots, up to this long apart: each costs it something of its own. */
const EVERY_MS_MAX = 2_000;
const EVERY_TIMES_TOOK = 5;

interface Waiting {
  readonly batch: Batch;
  readonly size: number;
  readonly done: () => void;
}

export function createLane({ sizeOf, most, enough, everyMs, work }: LaneOptions): Lane {
  let queue: Waiting[] = [];
  let waiting = 0;
  let running = false;
  let closed = false;
  let beganMs = Number.NEGATIVE_INFINITY;
  let tookMs = 0;
  let wake: (() => void) | undefined;

  function takeSome(): Waiting[] {
    let size = 0;
    let count = 0;
    while (count < queue.length && size < most) {
      size += queue[count]!.size;
      count += 1;
    }
    const taken = queue.slice(0, count);
    queue = queue.slice(count);
    waiting -= size;
    return taken;
  }

  /** Until it is time, or enough waits. */
  async function pause(): Promise<void> {
    const apartMs = everyMs === 0 ? 0 : Math.max(everyMs, Math.min(EVERY_MS_MAX, EVERY_TIMES_TOOK * tookMs));
    const leftMs = beganMs + apartMs - performance.now();
    if (leftMs <= 0 || waiting >= enough || closed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, leftMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    wake = undefined;
  }

  async function run(): Promise<void> {
    running = true;
    while (queue.length > 0 && !closed) {
      await pause();
      if (closed || queue.length === 0) break;
      beganMs = performance.now();
      const taken = takeSome();
      await work(taken.map(({ batch }) => batch));
      tookMs = performance.now() - beganMs;
      if (!closed) for (const { done } of taken) done();
    }
    running = false;
  }

  return {
    add(batch) {
      const size = sizeOf(batch);
      if (size === 0) return Promise.resolve();
      return new Promise((resolve) => {
        queue.push({ batch, size, done: resolve });
        waiting += size;
        if (waiting >= enough) wake?.();
        if (!running) void run();
      });
    },
    forget(batches) {
      queue = queue.filter(({ batch, size }) => {
        const isForgotten = batches.has(batch);
        if (isForgotten) waiting -= size;
        return !isForgotten;
      });
    },
    close() {
      closed = true;
      wake?.();
    },
  };
}
