// What each partition says of itself: its place in the log, its watermark, its definitions, and that nothing waits.

import { readDocument } from '../domain/definition.ts';
import type { EventsTopicRecord, SpendTopicRecord } from '../domain/record.ts';
import type { Fields } from './compare.ts';
import { placeOf, recordsBehind, type Scope, type Snapshot, versionReached } from './scope.ts';
import type { StoredPartition } from './stored.ts';
import type { Walk } from './watermark.ts';

type AnyWalk = Walk<EventsTopicRecord> | Walk<SpendTopicRecord>;

/** Heads, gaps, outboxes and definitions of all partitions. */
export async function comparePartitions(scope: Scope): Promise<void> {
  const { comparison } = scope;
  const compareSnapshot = async (snapshot: Snapshot): Promise<void> => {
    comparePartition(scope, snapshot);
    if (snapshot.rested) return compareAtRest(scope, snapshot);
    const { stored } = snapshot;
    const later = { ...stored, ...(await scope.restOf(snapshot)) };
    // Of one that never rested while it was read, and has gone on since, what was on its way then is no fault.
    if (versionReached(later.head) === versionReached(stored.head))
      return compareAtRest(scope, { ...snapshot, stored: later });
    for (const kind of ['heads', 'outboxes'])
      comparison.leaveOut(kind, 'of partitions that went on all the time');
  };
  comparison.expectKind('offsets', 'heads', 'watermarks', 'outboxes', 'definitions in force');
  for (const snapshot of [...scope.events, ...scope.spend]) {
    const { stored, walk } = snapshot;
    await compareSnapshot(snapshot);
    comparison.equal('watermarks', placeOf(stored.id), walk.watermarkMs, stored.head?.watermarkMs ?? 0);
    compareDefinitions(scope, stored, walk);
  }
  await compareSnapshot(scope.rejected);
}

/** Everything is applied, delivered and flushed. */
function compareAtRest({ comparison }: Scope, { log, stored }: Snapshot): void {
  const where = placeOf(stored.id);
  const offset = stored.head?.offset ?? 0;
  // The log was read up to the head; the end of the log was looked up before, so the head must not be below it.
  const drained = { offset: Math.max(log.high, offset), fired: 0 };
  comparison.fields('heads', where, drained, { offset, fired: stored.head?.fired ?? 0 });
  const flushed = stored.head === undefined ? '' : versionReached(stored.head).toString();
  comparison.fields(
    'outboxes',
    where,
    { undelivered: 0, flushed },
    { undelivered: stored.outboxEntries, flushed: stored.head?.flushed ?? '' },
  );
}

/** Each offset is one record: what it came to is in the rows, rejects and control records that are compared elsewhere. */
function comparePartition(scope: Scope, { log, stored }: Snapshot): void {
  const { comparison } = scope;
  const where = placeOf(stored.id);
  comparison.leaveOut('offsets', 'records behind what was read', recordsBehind(scope, stored));
  comparison.counted('offsets', log.records.length);
  for (const gap of log.gaps) comparison.differ('offsets', `${where} offset ${gap}`, 'a record', 'a gap');
}

function compareDefinitions({ comparison }: Scope, stored: StoredPartition, { steps }: AnyWalk): void {
  const latest = new Map<string, Fields>();
  for (const { record, inForce } of steps) {
    if (record?.kind !== 'definition' || !inForce) continue;
    const { type, id, revision, hash, document } = record;
    const filled = readDocument(type, document) ?? null;
    latest.set(`${type}/${id}`, { type, id, revision, hash, document: filled });
  }
  const where = `${placeOf(stored.id)} definition`;
  for (const definition of stored.definitions) {
    const name = `${definition.type}/${definition.id}`;
    const expected = latest.get(name);
    if (expected === undefined)
      comparison.differ('definitions in force', `${where} ${name}`, 'none', definition);
    else comparison.fields('definitions in force', `${where} ${name}`, expected, { ...definition });
    latest.delete(name);
  }
  for (const [name, definition] of latest) {
    comparison.differ('definitions in force', `${where} ${name}`, definition, 'missing');
  }
}
