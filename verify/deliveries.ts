// The topic `deliveries`: every delivery is of a trigger that there is, under the id that follows from it, and goes from
// state to state as it may: no attempt without an intent, none after it was delivered, none of a dead one without a replay;
// and every trigger that was taken has one for each receiver that it was meant for, unless it has expired and they are forgotten.
import { createHash } from 'node:crypto';
import type { Delivery, DeliveryCursor, DeliveryStatus } from '../domain/delivery.ts';
import type { Fields } from './compare.ts';
import type { Scope } from './scope.ts';
import { fieldsOf, recordsById } from './triggers.ts';

/** What may follow what. A leader that takes over may find any open state and go on from it. */
const following: Record<DeliveryStatus, readonly DeliveryStatus[]> = {
  // Queued still: what it waits for has been said.
  queued: ['queued', 'sending', 'settled', 'dead'],
  sending: ['delivered', 'queued', 'dead', 'sending', 'settled'],
  dead: ['queued'],
  delivered: [],
  settled: [],
};

function idOf(scope: Scope, receiver: string, trigger: string): string {
  const text = `${scope.namespace}\n${scope.events[0]!.stored.id.generation}\n${receiver}\n${trigger}`;
  return `msg_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

/** A trigger waits while the watermark is at most its end; of a partition that has gone on since it was read, nobody knows. */
function mayBeForgotten({ events, endNow }: Scope, { id, expiresMs }: Fields): boolean {
  const from = events.find(({ walk }) => walk.partition === Number(String(id).split('-')[0]));
  if (from === undefined) return false;
  const { walk, stored } = from;
  return (
    walk.watermarkMs > Number(expiresMs) || endNow('events', walk.partition) > (stored.head?.offset ?? 0)
  );
}

/** The whole topic `triggers` counts: `jobs` takes what is in it, also of records behind those that were read of `events`. */
export function compareDeliveries(scope: Scope): void {
  const { comparison } = scope;
  const sent = recordsById(scope.triggers);
  comparison.expectKind('deliveries', 'deliveries owed');
  const cursors: DeliveryCursor[] = [];
  const last = new Map<string, Delivery>();
  const replayed = new Set<string>();
  const forgotten = new Set<string>();
  for (const { offset, record } of scope.deliveries) {
    const where = `deliveries ${offset}`;
    if (record === null) {
      comparison.differ(
        'deliveries',
        where,
        'a delivery, a cursor, a replay, a turn or nothing',
        'something else',
      );
      continue;
    }
    if (record.kind === 'replay') replayed.add(record.id);
    if (record.kind === 'cursor') cursors.push(record);
    if (record.kind === 'forgotten') {
      const delivery = last.get(record.key);
      if (delivery !== undefined)
        comparison.equal('deliveries', `${where} forgotten`, true, mayBeForgotten(scope, delivery.trigger));
      last.delete(record.key);
      forgotten.add(record.key);
      continue;
    }
    if (record.kind !== 'delivery') continue;
    const before = last.get(record.id);
    comparison.equal('deliveries', `${where} id`, idOf(scope, record.receiver, record.trigger.id), record.id);
    if (before === undefined) {
      comparison.fields('deliveries', `${where} trigger`, { ...record.trigger }, sent.get(record.trigger.id));
    } else {
      comparison.equal('deliveries', `${where} trigger`, before.trigger, record.trigger);
      const allowed = following[before.status].includes(record.status);
      const asked = before.status !== 'dead' || replayed.delete(record.id);
      if (!allowed || !asked)
        comparison.differ('deliveries', where, `what may follow ${before.status}`, record.status);
      const attempts = before.attempt + (record.status === 'sending' ? 1 : 0);
      comparison.equal('deliveries', `${where} attempt`, attempts, record.attempt);
    }
    last.set(record.id, record);
  }
  compareOwed(scope, cursors, (id, trigger) =>
    last.has(id) || (forgotten.has(id) && mayBeForgotten(scope, trigger)) ? id : undefined,
  );
}

/**
 * Whoever takes triggers says from where to where, and who was to be told. Nothing may be passed over, and nobody. Of a cursor
 * that is gone (the topic keeps each partition's last, a week later) or says nothing, nothing can be compared. What is forgotten has
 * a record that says so for longer than the cursor by which it was owed: that one is superseded before, and goes first.
 * @param queued the id of a delivery if it was queued, as far as the topic says
 */
function compareOwed(
  scope: Scope,
  cursors: readonly DeliveryCursor[],
  queued: (id: string, trigger: Fields) => string | undefined,
): void {
  const { comparison } = scope;
  const kind = 'deliveries owed';
  let unknown = 0;
  for (const { partition, records } of scope.triggers) {
    const ofPartition = cursors.filter((cursor) => cursor.partition === partition);
    // Of a topic that was made anew the offsets begin anew: earlier cursors tell nothing of them.
    const topicId = ofPartition.at(-1)?.topicId;
    const own = ofPartition.filter((cursor) => (cursor.topicId ?? topicId) === topicId);
    const met = new Set<unknown>();
    let index = 0;
    for (const { offset, value } of records) {
      const trigger = fieldsOf(value);
      // One that a crash or an older Redis has sent again was owed where it stood first: that may be forgotten.
      const isAgain = met.has(trigger.id);
      met.add(trigger.id);
      while (index < own.length && own[index]!.next <= offset) index += 1;
      if (index === own.length) break;
      const { taken } = own[index]!;
      if (taken === undefined || (index === 0 && offset < taken.from)) {
        unknown += 1;
        continue;
      }
      const place = `triggers ${partition} ${offset}`;
      comparison.equal(kind, place, true, offset >= taken.from);
      if (isAgain) continue;
      for (const { id: receiver, triggers } of taken.receivers) {
        if (triggers.length > 0 && !triggers.includes(String(trigger.definition))) continue;
        const id = idOf(scope, receiver, String(trigger.id));
        comparison.equal(kind, `${place} for ${receiver}`, id, queued(id, trigger));
      }
    }
  }
  comparison.leaveOut(kind, 'triggers of which no record says who was to be told', unknown);
}
