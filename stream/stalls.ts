// Whoever reads nothing though the log goes on: a fetch that has stopped says so once at most, and then looks like a partition at rest.

/** One owner as it is now. */
export interface Standing {
  readonly name: string;
  /** The offset that is to come next. */
  readonly expected: number;
  /** Messages that wait: it has something to do. */
  readonly backlog: number;
  /** Where the log ends. */
  readonly high: number;
}

export interface StallWatch {
  /** Those that the log was ahead of at the look before, and that have come no further since. Each end of a log is told once. */
  look(all: readonly Standing[]): Standing[];
}

export function createStallWatch(): StallWatch {
  let before = new Map<string, number>();
  const told = new Map<string, number>();
  return {
    look(all) {
      const behind = all.filter(({ expected, backlog, high }) => backlog === 0 && expected < high);
      const stalled = behind.filter(
        ({ name, expected, high }) => before.get(name) === expected && told.get(name) !== high,
      );
      before = new Map(behind.map(({ name, expected }) => [name, expected]));
      for (const { name, high } of stalled) told.set(name, high);
      return stalled;
    },
  };
}
