// Which funnel steps one buyer was counted for, and when: default funnels as behaviours arrive, strict ones as they settle.
import type { EventsTopicRecord } from '../domain/record.ts';
import { segmentOf } from './attributes.ts';
import { type Count, cellOf } from './facts.ts';
import { reachedByArrival, risesOf } from './funnel-levels.ts';
import { type FunnelSpan, settledBefore } from './in-force.ts';
import { isBehaved, type Judged } from './judge.ts';
import { type Walk, whenDue } from './watermark.ts';

/** An applied record that is mapped to a behaviour. */
export type Behaved = Judged;

export interface Tail {
  /** Every record of the buyer, for what was known when. */
  readonly judged: readonly Judged[];
  /** What the automata see, in the order of arrival: all but what came before something that a cap settled early. */
  readonly seen: readonly Behaved[];
  /** Offset at which the cap settled an instant early, by event time. */
  readonly settledEarly: ReadonlyMap<number, number>;
}

/** What is kept to settle is capped: the earliest instants above the cap settle at once. */
export function tailOf(judged: readonly Judged[]): Tail {
  const seen: Behaved[] = [];
  const settledEarly = new Map<number, number>();
  let waiting: Behaved[] = [];
  let settledThroughMs = 0;
  for (const own of judged.filter(isBehaved)) {
    const { maxBehavioursPerBuyer } = own.epoch.settings;
    const unsettledMs = settledBefore(own.epoch, own.watermarkMs);
    waiting = waiting.filter(({ timeMs }) => timeMs >= unsettledMs);
    if (own.timeMs < settledThroughMs) continue;
    seen.push(own);
    waiting.push(own);
    while (waiting.length >= maxBehavioursPerBuyer) {
      settledThroughMs = waiting.reduce(
        (least, { timeMs }) => Math.min(least, timeMs),
        Number.POSITIVE_INFINITY,
      );
      settledEarly.set(settledThroughMs, own.offset);
      waiting = waiting.filter(({ timeMs }) => timeMs !== settledThroughMs);
    }
  }
  return { judged, seen, settledEarly };
}

export interface FunnelCounts {
  readonly id: string;
  readonly revision: number;
  readonly counted: number;
  /** Of a strict funnel: event times of the steps that are reached and wait to be settled. */
  readonly waitingMs: readonly number[];
  /** Its past was given: ClickHouse cannot be asked for it by what came after the definition. */
  readonly hasPast?: boolean;
}

/** The steps of one funnel that one buyer was counted for; each becomes a count. */
export function countSteps(
  key: string,
  funnel: FunnelSpan,
  tail: Tail,
  walk: Walk<EventsTopicRecord>,
  counts: Count[],
): FunnelCounts {
  const { id, revision } = funnel;
  const seen = tail.seen.filter(({ offset }) => offset > funnel.sinceOffset && offset < funnel.untilOffset);
  const push = (level: number, timeMs: number, at: Pick<Count, 'offset' | 'dueMs'>, own: Judged): void => {
    const cell = cellOf(segmentOf(own.known));
    counts.push({ ...at, key, series: `funnel:${id}`, revision, timeMs, cell, column: level - 1 });
  };
  if (funnel.document.mode === 'default') {
    const reached = reachedByArrival(funnel.document, arrivalsOf(seen));
    for (const { level, arrival } of reached) {
      const own = seen[arrival]!;
      push(level, own.timeMs, { offset: own.offset, dueMs: undefined }, own);
    }
    return { id, revision, counted: reached.length, waitingMs: [] };
  }
  const waitingMs: number[] = [];
  let counted = 0;
  for (const { level, timeMs } of risesOf(funnel.document, arrivalsOf(seen))) {
    const settled = settlementOf(timeMs, tail, walk);
    // What a timer does it does before the record, in the funnel that the record may take the place of.
    if (settled === undefined || settled.at.offset > funnel.untilOffset) {
      waitingMs.push(timeMs);
      continue;
    }
    for (; counted < level; counted += 1) push(counted + 1, timeMs, settled.at, settled.own);
  }
  return { id, revision, counted, waitingMs };
}

function arrivalsOf(seen: readonly Behaved[]): { timeMs: number; behaviour: string }[] {
  return seen.map(({ timeMs, behaviour }) => ({ timeMs, behaviour }));
}

/** Where an instant settled, and what was known of the buyer then; undefined if it still waits. */
function settlementOf(
  timeMs: number,
  { judged, settledEarly }: Tail,
  walk: Walk<EventsTopicRecord>,
): { readonly at: Pick<Count, 'offset' | 'dueMs'>; readonly own: Judged } | undefined {
  const early = settledEarly.get(timeMs);
  if (early !== undefined) {
    return {
      at: { offset: early, dueMs: undefined },
      own: judged.findLast(({ offset }) => offset <= early)!,
    };
  }
  const arrived = judged.find((own) => isBehaved(own) && own.timeMs === timeMs)!;
  const due = whenDue(
    walk,
    arrived.index + 1,
    walk.gone - 1,
    ({ settings }) => timeMs + settings.latenessMs + 1,
  );
  if (due === undefined) return undefined;
  const { step, dueMs } = due;
  // The timer fires before the record that passes it.
  return { at: { offset: step.offset, dueMs }, own: judged.findLast(({ offset }) => offset < step.offset)! };
}
