// Paths: which behaviour follows which, counted over all buyers, the most frequent first.

/** One behaviour of one buyer; at the same instant the order of the input is kept. */
export interface PathStep {
  readonly buyer: string | number;
  readonly timeMs: number;
  readonly behaviour: string;
}

/** A path, how often it was taken and by how many buyers. */
export interface PathCount {
  readonly path: readonly string[];
  readonly count: number;
  readonly buyers: number;
}

export interface PathTransitions {
  /** Paths of two behaviours. */
  readonly transitions: readonly PathCount[];
  /** Paths of three behaviours. */
  readonly threeSteps: readonly PathCount[];
}

/** No path runs across a pause longer than `maxGapMs`; at most `limit` paths of each length are given. */
export interface PathOptions {
  readonly maxGapMs: number;
  readonly limit: number;
}

function byBuyer(steps: readonly PathStep[]): Map<string | number, PathStep[]> {
  const buyers = new Map<string | number, PathStep[]>();
  for (const step of steps) {
    const own = buyers.get(step.buyer);
    if (own === undefined) buyers.set(step.buyer, [step]);
    else own.push(step);
  }
  for (const own of buyers.values()) own.sort((a, b) => a.timeMs - b.timeMs);
  return buyers;
}

function comparePaths(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < a.length; index += 1) {
    if (a[index]! < b[index]!) return -1;
    if (a[index]! > b[index]!) return 1;
  }
  return 0;
}

function countPaths(
  buyers: ReadonlyMap<string | number, readonly PathStep[]>,
  length: number,
  maxGapMs: number,
): PathCount[] {
  const counts = new Map<string, { path: string[]; count: number; buyers: number; last: string | number }>();
  for (const [buyer, steps] of buyers) {
    let unbroken = 0;
    steps.forEach((step, index) => {
      const pauseMs = index === 0 ? Number.POSITIVE_INFINITY : step.timeMs - steps[index - 1]!.timeMs;
      unbroken = pauseMs <= maxGapMs ? unbroken + 1 : 1;
      if (unbroken < length) return;
      const path = steps.slice(index - length + 1, index + 1).map((each) => each.behaviour);
      const key = JSON.stringify(path);
      const entry = counts.get(key);
      if (entry === undefined) counts.set(key, { path, count: 1, buyers: 1, last: buyer });
      else {
        entry.count += 1;
        if (entry.last !== buyer) entry.buyers += 1;
        entry.last = buyer;
      }
    });
  }
  return [...counts.values()].map(({ path, count, buyers: people }) => ({ path, count, buyers: people }));
}

/** The most frequent transitions and three-step paths; equally frequent ones stand in the order of their names. */
export function pathTransitions(
  steps: readonly PathStep[],
  { maxGapMs, limit }: PathOptions,
): PathTransitions {
  const buyers = byBuyer(steps);
  const top = (length: number): PathCount[] =>
    countPaths(buyers, length, maxGapMs)
      .sort((a, b) => b.count - a.count || comparePaths(a.path, b.path))
      .slice(0, limit);
  return { transitions: top(2), threeSteps: top(3) };
}
