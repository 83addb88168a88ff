// What `jobs` said of buyers' pasts: for whom nothing came by a link, the log itself says which steps were reached before a
// funnel's record, and when. What its owner made of it is worked out with everything else (pasts.ts).
import type { BackfillRecord } from '../../domain/identity-record.ts';
import { segmentOf } from '../attributes.ts';
import { cellOf } from '../facts.ts';
import { reachedByArrival, risesOf } from '../funnel-levels.ts';
import { type FunnelSpan, funnelSpans } from '../in-force.ts';
import type { Person } from '../person.ts';
import type { Scope } from '../scope.ts';
import { tailOf } from '../steps.ts';

type Counted = BackfillRecord['counts'];

export function compareBackfills({ comparison, events }: Scope): void {
  comparison.expectKind('backfill records');
  for (const each of events) {
    const spans = funnelSpans(each.walk.history);
    for (const step of each.walk.steps) {
      if (step.record?.kind !== 'backfill') continue;
      const { key, funnel, revision, counts } = step.record;
      const person = each.people.people.get(key);
      const span = spans.find((one) => one.id === funnel && one.revision === revision);
      if (person === undefined || span === undefined || !isPlain(person)) continue;
      const where = `events ${each.walk.partition} offset ${step.offset} ${key} ${funnel}`;
      comparison.equal('backfill records', where, countsOf(person, span, step.record), shown(counts, span));
    }
  }
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
