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
  // Goes on from one that made room to the next: what it has passed is no longer there, so it stands before the oldest. One
  // that is made anew each time passes all places of what was deleted: a million ids took minutes.
  let oldest: Iterator<string> | undefined;
  // But one that is kept and not moved keeps every table that the set has had since then, 60 bytes for each value that came and
  // went. So it is let go after as many deletions as the set can hold: by then, to pass their places costs little for each.
  let deletions = 0;
  return {
    get size() {
      return kept.size;
    },
    has: (value) => kept.has(value),
    add(value) {
      kept.add(value);
      if (kept.size <= sizeMax) return undefined;
      oldest ??= kept.values();
      const dropped = oldest.next().value as string;
      kept.delete(dropped);
      return dropped;
    },
    delete(value) {
      if (kept.delete(value)) deletions += 1;
      if (deletions < sizeMax) return;
      deletions = 0;
      oldest = undefined;
    },
    [Symbol.iterator]: () => kept.values(),
  };
}
