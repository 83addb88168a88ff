// How far a buyer's behaviours lead through a funnel, and at which instant each step was reached: ClickHouse's own
// `windowFunnel` restated over a sorted list (src/AggregateFunctions/AggregateFunctionWindowFunnel.cpp), used only to
// say when; what the final level is, the oracle asks ClickHouse itself.
import type { FunnelDefinition } from '../domain/definition.ts';

export interface TimedBehaviour {
  readonly timeMs: number;
  readonly behaviour: string;
}

/** Level reached, and the event time of the instant that reached it. */
export interface Rise {
  readonly level: number;
  readonly timeMs: number;
}

interface Chain {
  readonly beganMs: number;
  readonly lastMs: number;
}

/** How far earlier behaviours had come: the level, the latest chain to each step up to it, and whether nothing more counts. */
export interface Start {
  readonly level: number;
  readonly chains: readonly Chain[];
  readonly isOver: boolean;
}

/** Pairs of event time and step (1-based; 0 for a behaviour that is no step), sorted as ClickHouse sorts them. */
function entriesOf(funnel: FunnelDefinition, behaviours: readonly TimedBehaviour[]): [number, number][] {
  const entries: [number, number][] = [];
  const keepsOthers = isStrictOrder(funnel);
  for (const { timeMs, behaviour } of behaviours) {
    let isStep = false;
    funnel.steps.forEach((step, index) => {
      if (step !== behaviour) return;
      isStep = true;
      entries.push([timeMs, index + 1]);
    });
    if (!isStep && keepsOthers) entries.push([timeMs, 0]);
  }
  return entries.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

function isStrictOrder(funnel: FunnelDefinition): boolean {
  return funnel.mode.includes('strict_order');
}

/** The instants at which the level rises as the sorted behaviours are read from the first to the last. */
export function risesOf(
  funnel: FunnelDefinition,
  behaviours: readonly TimedBehaviour[],
  start: Start = { level: 0, chains: [], isOver: false },
): Rise[] {
  if (start.isOver) return [];
  const strictOrder = isStrictOrder(funnel);
  const strictIncrease = funnel.mode.includes('strict_increase');
  const chains: (Chain | undefined)[] = funnel.steps.map((_, index) => start.chains[index]);
  const rises: Rise[] = [];
  let { level } = start;
  for (const [timeMs, step] of entriesOf(funnel, behaviours)) {
    if (step === 0) {
      if (chains[0] !== undefined) break;
      continue;
    }
    const before = step === 1 ? undefined : chains[step - 2];
    if (step === 1) {
      chains[0] = { beganMs: timeMs, lastMs: timeMs };
    } else if (before === undefined) {
      if (strictOrder && chains[0] !== undefined) break;
      continue;
    } else {
      const inWindow = timeMs <= before.beganMs + funnel.windowMs;
      if (!inWindow || (strictIncrease && before.lastMs >= timeMs)) continue;
      chains[step - 1] = { beganMs: before.beganMs, lastMs: timeMs };
    }
    if (step > level) {
      level = step;
      rises.push({ level, timeMs });
      if (level === funnel.steps.length) break;
    }
  }
  return rises;
}

/** The level over behaviours in any order. */
export function levelOf(funnel: FunnelDefinition, behaviours: readonly TimedBehaviour[]): number {
  return risesOf(funnel, behaviours).at(-1)?.level ?? 0;
}

/** Level reached, and the index (into the order of arrival) of the behaviour by which it was reached. */
export interface Reached {
  readonly level: number;
  readonly arrival: number;
}

/**
 * For a `default` funnel, whose level never falls as behaviours arrive in any order: which arrival brought each level.
 * Found by bisection, so that a buyer with thousands of behaviours stays affordable.
 */
export function reachedByArrival(funnel: FunnelDefinition, arrivals: readonly TimedBehaviour[]): Reached[] {
  const steps = new Set(funnel.steps);
  const relevant: { readonly arrival: number; readonly behaviour: TimedBehaviour }[] = [];
  arrivals.forEach((behaviour, arrival) => {
    if (steps.has(behaviour.behaviour)) relevant.push({ arrival, behaviour });
  });
  const levelAfter = (howMany: number): number =>
    levelOf(
      funnel,
      relevant.slice(0, howMany).map(({ behaviour }) => behaviour),
    );
  const result: Reached[] = [];
  const final = levelAfter(relevant.length);
  let enough = 0;
  for (let level = 1; level <= final; level += 1) {
    let high = relevant.length;
    let low = enough;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (levelAfter(middle) >= level) high = middle;
      else low = middle + 1;
    }
    enough = low;
    result.push({ level, arrival: relevant[low - 1]!.arrival });
  }
  return result;
}
