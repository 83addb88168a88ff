// The topic `deliveries`: every delivery is of a trigger that there is, under the id that follows from it, and goes from
// state to state as it may: no attempt without an intent, none after it was delivered, none of a dead one without a replay.
import { createHash } from 'node:crypto';
import type { Delivery, DeliveryStatus } from '../domain/delivery.ts';
import type { Scope } from './scope.ts';
import { recordsById } from './triggers.ts';

/** What may follow what. A leader that takes over may find any open state and go on from it. */
const following: Record<DeliveryStatus, readonly DeliveryStatus[]> = {
  // Queued still: what it waits for has been said.
  queued: ['queued', 'sending', 'settled', 'dead'],
  sending: ['delivered', 'queued', 'dead', 'sending', 'settled'],
  dead: ['queued'],
  delivered: [],
  settled: [],
};

function idOf(scope: Scope, { receiver, trigger }: Delivery): string {
  const text = `${scope.namespace}\n${scope.events[0]!.stored.id.generation}\n${receiver}\n${trigger.id}`;
  return `msg_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

/** The whole topic `triggers` counts: `jobs` takes what is in it, also of records behind those that were read of `events`. */
export function compareDeliveries(scope: Scope): void {
  const { comparison } = scope;
  const sent = recordsById(scope.triggers);
  comparison.expectKind('deliveries');
  const last = new Map<string, Delivery>();
  const replayed = new Set<string>();
  for (const { offset, record } of scope.deliveries) {
    const where = `deliveries ${offset}`;
    if (record === null) {
      comparison.differ('deliveries', where, 'a delivery, a cursor, a replay or a turn', 'something else');
      continue;
    }
    if (record.kind === 'replay') replayed.add(record.id);
    if (record.kind !== 'delivery') continue;
    const before = last.get(record.id);
    comparison.equal('deliveries', `${where} id`, idOf(scope, record), record.id);
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
}
