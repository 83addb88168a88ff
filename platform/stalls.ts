// Whoever reads nothing though the log goes on: a fetch that has stopped says so once at most, and then looks like a partition at rest.

/** One reader as it is now. */
export interface Standing {
  readonly name: string;
  /** The offset that is to come next. */
  readonly expected: number;
  /** Messages that wait: it has something to do. */
  readonly backlog: number;
  /** Where the log ends. */
  readonly high: number;
}

/** Looks from one telling of an end to the next: what did not help is tried again, but not without a pause. */
const REPEAT_LOOKS = 6;

export interface Stalled extends Standing {
  /** It is told now: not at each look. */
  readonly isDue: boolean;
}

export interface StallWatch {
  /** Those that the log was ahead of at the look before, and that have come no further since. */
  look(all: readonly Standing[]): Stalled[];
}

export function createStallWatch(): StallWatch {
  let before = new Map<string, number>();
  let looks = 0;
  const told = new Map<string, { readonly high: number; readonly look: number }>();
  const isDue = ({ name, high }: Standing): boolean => {
    const last = told.get(name);
    return last === undefined || last.high !== high || looks - last.look >= REPEAT_LOOKS;
  };
  return {
    look(all) {
      looks += 1;
      const behind = all.filter(({ expected, backlog, high }) => backlog === 0 && expected < high);
      const stalled = behind
        .filter(({ name, expected }) => before.get(name) === expected)
        .map((standing) => ({ ...standing, isDue: isDue(standing) }));
      before = new Map(behind.map(({ name, expected }) => [name, expected]));
      for (const { name, high, isDue } of stalled) if (isDue) told.set(name, { high, look: looks });
      return stalled;
    },
  };
}
