// What `jobs` said of buyers' pasts: for whom nothing came by a link, the log itself says which steps were reached before a
// funnel's record, and when; and of whom there must be a record once `jobs` says that all are written. What its owner made of
// it is worked out with everything else (pasts.ts).
import type { BackfillRecord } from '../../domain/identity-record.ts';
import { segmentOf } from '../attributes.ts';
import { cellOf } from '../facts.ts';
import { reachedByArrival, risesOf } from '../funnel-levels.ts';
import { type FunnelSpan, funnelSpans } from '../in-force.ts';
import { isBehaved } from '../judge.ts';
import type { Person } from '../person.ts';
import type { EventsScope, Scope } from '../scope.ts';
import { tailOf } from '../steps.ts';

type Counted = BackfillRecord['counts'];

const KIND = 'backfill records';
/** `jobs` looks at the latest so many rows of a key. */
const ROWS_LOOKED_AT_MAX = 20_000;

const leftOutAs = {
  linked: 'of people with links, which are not worked out',
  notDone: 'that jobs has not said to be written, or that may stand behind what was read',
  unsteady:
    'whose people were judged by other settings than their past, or have more rows than jobs looks at',
} as const;

export function compareBackfills(scope: Scope): void {
  const { comparison, events } = scope;
  comparison.expectKind(KIND);
  for (const each of events) {
    const spans = funnelSpans(each.walk.history);
    const said = new Set<string>();
    for (const step of each.walk.steps) {
      if (step.record?.kind !== 'backfill') continue;
      const { key, funnel, revision, counts } = step.record;
      const person = each.people.people.get(key);
      const span = spans.find((one) => one.id === funnel && one.revision === revision);
      if (person === undefined || span === undefined) continue;
      said.add(nameOf(key, span));
      if (!isPlain(person)) {
        comparison.leaveOut(KIND, leftOutAs.linked);
        continue;
      }
      const where = `events ${each.walk.partition} offset ${step.offset} ${key} ${funnel}`;
      comparison.equal(KIND, where, countsOf(person, span, step.record), shown(counts, span));
    }
    for (const span of spans) demand(scope, each, span, said);
  }
}

function nameOf(key: string, { id, revision }: FunnelSpan): string {
  return `${id} ${revision} ${key}`;
}

/** Of everybody who had reached a step before a funnel's record, there is a record once they are said to be written. */
function demand(scope: Scope, each: EventsScope, span: FunnelSpan, said: ReadonlySet<string>): void {
  const { comparison } = scope;
  const isDone = isAllWritten(scope, each, span);
  const merged = new Set(
    each.people.changes.flatMap(({ key, offset }) => (offset < span.sinceOffset ? [key] : [])),
  );
  for (const [key, person] of each.people.people) {
    if (said.has(nameOf(key, span))) continue;
    const mustBe = isPlain(person)
      ? hasReached(person, span)
      : merged.has(key) || person.judged.some((one) => one.offset < span.sinceOffset && isBehaved(one));
    if (!mustBe) continue;
    if (!isPlain(person)) comparison.leaveOut(KIND, leftOutAs.linked);
    else if (!isDone) comparison.leaveOut(KIND, leftOutAs.notDone);
    else if (!isSteady(person, each, span)) comparison.leaveOut(KIND, leftOutAs.unsteady);
    else {
      const where = `events ${each.walk.partition} ${key} ${span.id} revision ${span.revision}`;
      comparison.differ(KIND, where, 'a record', 'missing');
    }
  }
}

/** Whoever has done the first step in time for the funnel to see it has a record, settled or not. */
function hasReached({ seen }: Person, { document, sinceOffset }: FunnelSpan): boolean {
  // Who is seen is decided in the log's order: those of before are those that were seen before.
  return (
    risesOf(
      document,
      seen.filter(({ offset }) => offset < sinceOffset),
    ).length > 0
  );
}

/** Where the log of a partition ended once all were written is noted before it is said: one that was rolled back is not there yet. */
function isAllWritten({ backfills }: Scope, { stored }: EventsScope, { id, revision }: FunnelSpan): boolean {
  const progress = backfills.find((one) => one.funnel === id && one.revision === revision);
  return (
    progress?.status === 'done' && (stored.head?.offset ?? 0) >= (progress.ends[stored.id.partition] ?? 0)
  );
}

/** `jobs` takes the settings that hold when it computes the past: known only where none that matters has changed. */
function isSteady(
  { judged }: Person,
  { walk: { history } }: EventsScope,
  { sinceOffset }: FunnelSpan,
): boolean {
  const before = judged.filter(({ offset }) => offset < sinceOffset);
  if (before.length > ROWS_LOOKED_AT_MAX) return false;
  const since = [
    history.at(sinceOffset),
    ...history.epochs.filter((epoch) => epoch.sinceOffset > sinceOffset),
  ];
  const epochs = new Set([...before.map(({ epoch }) => epoch), ...since]);
  const named = [...epochs].map(
    ({ settings: { latenessMs, maxBehavioursPerBuyer } }) => `${latenessMs} ${maxBehavioursPerBuyer}`,
  );
  return new Set(named).size === 1;
}

/** Nothing came to it or went from it by a link. */
function isPlain({ links, linked }: Person): boolean {
  return links === null && linked === undefined;
}

/** Of a strict funnel the segment is a matter of when it settled. */
function shown(counts: Counted, { document }: FunnelSpan): Counted {
  if (document.mode === 'default') return counts;
  return counts.map(([column, timeMs]) => [column, timeMs, '']);
}

function countsOf({ judged }: Person, span: FunnelSpan, record: BackfillRecord): Counted {
  const { seen } = tailOf(judged.filter(({ offset }) => offset < span.sinceOffset));
  if (span.document.mode === 'default') {
    return reachedByArrival(span.document, seen).map(({ level, arrival }) => {
      const own = seen[arrival]!;
      return [level - 1, own.timeMs, cellOf(segmentOf(own.known))];
    });
  }
  const settled = seen.filter(({ timeMs }) => timeMs < record.settledBeforeMs);
  return risesOf(span.document, settled).map(({ level, timeMs }) => [level - 1, timeMs, '']);
}
