// The head of a partition's timer queue, read ahead for one batch, and what the batch itself sets.
// Order is (due time, key bytes), as the sorted set in Redis has it.

export interface Timer {
  readonly dueMs: number;
  readonly key: string;
}

/** UTF-8 byte order, which JavaScript's own comparison (UTF-16 units) is not. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function isBefore(a: Timer, b: Timer): boolean {
  if (a.dueMs !== b.dueMs) return a.dueMs < b.dueMs;
  return a.key !== b.key && compareKeys(a.key, b.key) < 0;
}

function siftUp(heap: Timer[], start: number): void {
  let index = start;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!isBefore(heap[index]!, heap[parent]!)) return;
    [heap[index], heap[parent]] = [heap[parent]!, heap[index]!];
    index = parent;
  }
}

function siftDown(heap: Timer[]): void {
  let index = 0;
  for (;;) {
    const left = 2 * index + 1;
    if (left >= heap.length) return;
    const right = left + 1;
    const child = right < heap.length && isBefore(heap[right]!, heap[left]!) ? right : left;
    if (!isBefore(heap[child]!, heap[index]!)) return;
    [heap[index], heap[child]] = [heap[child]!, heap[index]!];
    index = child;
  }
}

export interface TimerQueue {
  /** The first timer due at or before `nowMs`, taken out; undefined if none is. */
  take(nowMs: number): Timer | undefined;
  /** Takes up the first timers of the stored queue, those of keys that have changed since left out. */
  readAhead(ahead: readonly Timer[]): void;
  /** Sets (or, with 0, clears) the key's one timer. */
  arm(key: string, dueMs: number): void;
  /** The latest setting of each key that changed: 0 for cleared. */
  changes(): Map<string, number>;
  /** The earliest due time known here. */
  earliestMs(): number;
}

/** `ahead` are the first timers of the stored queue. */
export function createTimerQueue(ahead: readonly Timer[]): TimerQueue {
  const heap: Timer[] = [];
  const current = new Map<string, number>();
  const changed = new Map<string, number>();

  function push(timer: Timer): void {
    heap.push(timer);
    siftUp(heap, heap.length - 1);
  }

  function pop(): void {
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    siftDown(heap);
  }

  /** Drops settings that a later one of the same key has replaced. */
  function first(): Timer | undefined {
    while (heap.length > 0 && current.get(heap[0]!.key) !== heap[0]!.dueMs) pop();
    return heap[0];
  }

  function readAhead(timers: readonly Timer[]): void {
    for (const timer of timers) {
      if (changed.has(timer.key)) continue;
      current.set(timer.key, timer.dueMs);
      push(timer);
    }
  }

  readAhead(ahead);

  return {
    readAhead,
    take(nowMs) {
      const timer = first();
      if (timer === undefined || timer.dueMs > nowMs) return undefined;
      pop();
      current.delete(timer.key);
      changed.set(timer.key, 0);
      return timer;
    },
    arm(key, dueMs) {
      changed.set(key, dueMs);
      if (dueMs === 0) {
        current.delete(key);
        return;
      }
      current.set(key, dueMs);
      push({ key, dueMs });
    },
    changes: () => changed,
    earliestMs: () => first()?.dueMs ?? Number.POSITIVE_INFINITY,
  };
}
