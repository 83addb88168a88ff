// What the state of one buyer must be at the end of the log, for whom nothing came by a link.
import type { Exposed } from '../domain/buyer.ts';
import type { ExposureRecord } from '../domain/buyer-record.ts';
import type { EventsTopicRecord } from '../domain/record.ts';
import { segmentOf } from './attributes.ts';
import { type Engagement, engagementAt } from './engagement.ts';
import { cellOf, type Facts, type When } from './facts.ts';
import type { LinkedPerson } from './identity/linked-person.ts';
import type { LinksState } from './identity/links.ts';
import { type GivenPast, type LivedWithPasts, liveWithPasts } from './identity/own-pasts.ts';
import { funnelSpans } from './in-force.ts';
import { isBehaved, type Judged, judge, type OwnRecord } from './judge.ts';
import { live, nextDueMs } from './life.ts';
import type { Life } from './life-state.ts';
import { type Behaved, countSteps, type FunnelCounts, tailOf } from './steps.ts';
import type { Walk } from './watermark.ts';

const DAY_MS = 86_400_000;

export interface Person {
  readonly key: string;
  /** Whether there must be a state: for whoever had an applied record, an exposure or something by a link. */
  readonly isKnown: boolean;
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
  /** By experiment. */
  readonly exposures: ReadonlyMap<string, Exposed>;
  /** By when the buyer's timer must go off; undefined if nothing waits. */
  readonly dueMs: number | undefined;
  /** A visitor's side of its links. */
  readonly links: LinksState | null;
  /** What came to a user by links, or to a company by its members. */
  readonly linked: LinkedPerson | undefined;
  /** What funnels' pasts made of a buyer to whom nothing came by a link; absent if none came. */
  readonly withPasts?: LivedWithPasts | undefined;
}

/** What a buyer did and was shown, and what funnels' pasts came to it. */
export interface Own {
  readonly records: readonly OwnRecord[];
  readonly exposures: readonly ExposureRecord[];
  readonly pasts: readonly GivenPast[];
  /** Whether a visitor says nothing of what happens to it then. */
  isSilentAt?(when: When): boolean;
}

export function personOf(key: string, own: Own, walk: Walk<EventsTopicRecord>, facts: Facts): Person {
  const judged = judge(own.records, walk.history);
  const behaved = judged.filter(isBehaved);
  const tail = tailOf(judged);
  const epoch = walk.history.at(Number.MAX_SAFE_INTEGER);
  const life = live(key, judged, { walk, facts });
  const given =
    own.pasts.length === 0
      ? undefined
      : liveWithPasts(key, judged, own.pasts, { walk, facts }, own.isSilentAt);
  const funnels = funnelSpans(walk.history)
    .map((span) => ({
      span,
      ...(given?.funnelOf(span) ?? countSteps(key, span, tail, walk, facts.counts)),
    }))
    .filter(({ span }) => span.untilOffset === Number.POSITIVE_INFINITY);
  const dues = funnels.flatMap(({ waitingMs }) =>
    waitingMs.map((timeMs) => timeMs + epoch.settings.latenessMs + 1),
  );
  const lifeDueMs = nextDueMs(life, epoch);
  if (lifeDueMs !== undefined) dues.push(lifeDueMs);
  return {
    key,
    isKnown:
      own.exposures.length > 0 ||
      judged.some(({ verdict }) => verdict === 'applied') ||
      given?.isKnown === true,
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
    links: null,
    linked: undefined,
    withPasts: given,
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
    const counted = { series: 'northstar', revision: 0, timeMs, cell, column: 0 };
    facts.counts.push({ offset, dueMs: undefined, key, ...counted });
  }
  return days;
}

/** The first exposure of each experiment, by event time and then message id. */
function firstExposures(exposures: readonly ExposureRecord[]): Map<string, Exposed> {
  const first = new Map<string, Exposed>();
  for (const { experiment, variant, timestamp: timeMs, messageId } of exposures) {
    const known = first.get(experiment);
    const isEarlier =
      known === undefined ||
      timeMs < known.timeMs ||
      (timeMs === known.timeMs && messageId < known.messageId);
    if (isEarlier) first.set(experiment, { experiment, variant, timeMs, messageId });
  }
  return first;
}
