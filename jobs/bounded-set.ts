// A set in which the oldest make room.

export interface BoundedSet {
  readonly size: number;
  has(value: string): boolean;
  /** Answers what made room. */
  add(value: string): string | undefined;
  delete(value: string): void;
  [Symbol.iterator](): Iterator<string>;
}

export function createBoundedSet(sizeMax: number): BoundedSet {
  const kept = new Set<string>();
  // One for all time: what it has passed is no longer there, so it stands before the oldest. One that is made anew each time
  // passes all places of what was deleted: a million ids took minutes.
  const oldest = kept.values();
  return {
    get size() {
      return kept.size;
    },
    has: (value) => kept.has(value),
    add(value) {
      kept.add(value);
      if (kept.size <= sizeMax) return undefined;
      const dropped = oldest.next().value!;
      kept.delete(dropped);
      return dropped;
    },
    delete: (value) => void kept.delete(value),
    [Symbol.iterator]: () => kept.values(),
  };
}
