// The buyers of one partition, person by person: what each one's state must be, and the facts that follow from the log.
import {
  buyerKeyOf,
  type EventsTopicRecord,
  type ExposureRecord,
  type SegmentRecord,
} from '../domain/record.ts';
import { segmentOf } from './attributes.ts';
import { type Engagement, engagementAt } from './engagement.ts';
import { cellOf, type Facts, noFacts } from './facts.ts';
import { type FunnelSpan, funnelSpans } from './in-force.ts';
import { type Judged, judge, type OwnRecord } from './judge.ts';
import { type Life, live, nextDueMs } from './life.ts';
import { type Behaved, countSteps, type FunnelCounts, isBehaved, tailOf } from './steps.ts';
import type { Step, Walk } from './watermark.ts';

const DAY_MS = 86_400_000;

/** What the state of one buyer must be at the end of the log. */
export interface Person {
  readonly key: string;
  readonly judged: readonly Judged[];
  /** Applied mapped behaviours in the order of the log. */
  readonly behaved: readonly Behaved[];
  /** Those of them that the funnels saw: all, unless a cap settled some early. */
  readonly seen: readonly Behaved[];
  /** The instants that it settled, and at which offset. */
  readonly settledEarly: ReadonlyMap<number, number>;
  readonly life: Life;
  readonly funnels: readonly FunnelCounts[];
  readonly engagement: readonly Engagement[];
  /** Days since the epoch on which the buyer was a visitor. */
  readonly visitDays: ReadonlySet<number>;
  readonly exposures: ReadonlyMap<string, ExposureRecord>;
  /** By when the buyer's timer must go off; undefined if nothing waits. */
  readonly dueMs: number | undefined;
}

export interface People {
  readonly people: ReadonlyMap<string, Person>;
  readonly facts: Facts;
  /** The verdict of every segment record, by offset. */
  readonly judgedByOffset: ReadonlyMap<number, Judged>;
}

interface Own {
  readonly records: OwnRecord[];
  readonly exposures: ExposureRecord[];
}

/** Works out every buyer of the partition. */
export function workOut(walk: Walk<EventsTopicRecord>): People {
  const facts = noFacts();
  const people = new Map<string, Person>();
  const judgedByOffset = new Map<number, Judged>();
  const spans = funnelSpans(walk.history);
  for (const [key, own] of byBuyer(walk.steps)) {
    const person = personOf(key, own, spans, walk, facts);
    people.set(key, person);
    for (const judged of person.judged) judgedByOffset.set(judged.offset, judged);
  }
  return { people, facts, judgedByOffset };
}

function byBuyer(steps: readonly Step<EventsTopicRecord>[]): Map<string, Own> {
  const owners = new Map<string, Own>();
  const ownOf = (key: string): Own => {
    const known = owners.get(key);
    if (known !== undefined) return known;
    const fresh: Own = { records: [], exposures: [] };
    owners.set(key, fresh);
    return fresh;
  };
  for (const { index, offset, watermarkMs, record } of steps) {
    if (record === undefined) continue;
    if (record.kind === 'exposure') ownOf(record.key).exposures.push(record);
    else if (isSegment(record)) {
      const key = buyerKeyOf(record);
      ownOf(key).records.push({ index, offset, watermarkMs, record, key, timeMs: record.timestamp });
    }
  }
  return owners;
}

export function isSegment(record: EventsTopicRecord): record is SegmentRecord {
  return !['exposure', 'receipt', 'clock', 'definition'].includes(record.kind);
}

function personOf(
  key: string,
  own: Own,
  spans: readonly FunnelSpan[],
  walk: Walk<EventsTopicRecord>,
  facts: Facts,
): Person {
  const judged = judge(own.records, walk.history);
  const behaved = judged.filter(isBehaved);
  const tail = tailOf(judged);
  const epoch = walk.history.at(Number.MAX_SAFE_INTEGER);
  const life = live(key, judged, { walk, facts });
  const funnels = spans
    .map((span) => ({ span, ...countSteps(key, span, tail, walk, facts.counts) }))
    .filter(({ span }) => span.untilOffset === Number.POSITIVE_INFINITY);
  const dues = funnels.flatMap(({ waitingMs }) =>
    waitingMs.map((timeMs) => timeMs + epoch.settings.latenessMs + 1),
  );
  const lifeDueMs = nextDueMs(life, epoch);
  if (lifeDueMs !== undefined) dues.push(lifeDueMs);
  return {
    key,
    judged,
    behaved,
    seen: tail.seen,
    settledEarly: tail.settledEarly,
    life,
    funnels,
    engagement: engagementAt(behaved, walk.watermarkMs),
    visitDays: countVisits(key, behaved, facts),
    exposures: firstExposures(own.exposures),
    dueMs: dues.length === 0 ? undefined : Math.min(...dues),
  };
}

/** A buyer is one visitor a day of event time, counted when the first behaviour of that day arrives. */
function countVisits(key: string, behaved: readonly Behaved[], facts: Facts): Set<number> {
  const days = new Set<number>();
  for (const { timeMs, offset, known } of behaved) {
    const day = Math.floor(timeMs / DAY_MS);
    if (days.has(day)) continue;
    days.add(day);
    const cell = cellOf(segmentOf(known));
    facts.counts.push({
      offset,
      dueMs: undefined,
      key,
      series: 'northstar',
      revision: 0,
      timeMs,
      cell,
      column: 0,
    });
  }
  return days;
}

function firstExposures(exposures: readonly ExposureRecord[]): Map<string, ExposureRecord> {
  const first = new Map<string, ExposureRecord>();
  for (const exposure of exposures) {
    const known = first.get(exposure.experiment);
    const isEarlier =
      known === undefined ||
      exposure.timestamp < known.timestamp ||
      (exposure.timestamp === known.timestamp && exposure.messageId < known.messageId);
    if (isEarlier) first.set(exposure.experiment, exposure);
  }
  return first;
}
