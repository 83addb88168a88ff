// A binary heap: what comes next in time, whoever it concerns. Ties leave in order of entry.

interface Entry<T> {
  readonly timeMs: number;
  readonly order: number;
  readonly value: T;
}

export interface TimeQueue<T> {
  readonly size: number;
  push(timeMs: number, value: T): void;
  /** The earliest time, or infinity. */
  nextMs(): number;
  pop(): T | undefined;
}

function before<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.order < b.order);
}

function siftUp<T>(heap: Entry<T>[], entry: Entry<T>): void {
  let index = heap.length;
  heap.push(entry);
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!before(entry, heap[parent]!)) break;
    heap[index] = heap[parent]!;
    index = parent;
  }
  heap[index] = entry;
}

function siftDown<T>(heap: Entry<T>[], entry: Entry<T>): void {
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
    if (!before(heap[child]!, entry)) break;
    heap[index] = heap[child]!;
    index = child;
  }
  heap[index] = entry;
}

export function timeQueue<T>(): TimeQueue<T> {
  const heap: Entry<T>[] = [];
  let entered = 0;
  return {
    get size() {
      return heap.length;
    },
    push(timeMs, value) {
      entered += 1;
      siftUp(heap, { timeMs, order: entered, value });
    },
    nextMs() {
      return heap[0]?.timeMs ?? Number.POSITIVE_INFINITY;
    },
    pop() {
      const first = heap[0];
      const last = heap.pop();
      if (first === undefined || last === undefined) return undefined;
      if (heap.length > 0) siftDown(heap, last);
      return first.value;
    },
  };
}
