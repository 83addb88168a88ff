// Of whom more is under way than was read: whoever the logs behind the snapshots tell of, and whoever one partition has sent
// something about that another had not taken when it was read.
import { buyerKeyOf } from '../../domain/buyer-record.ts';
import type { EventsTopicRecord } from '../../domain/record.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { decodeEvent } from '../decode.ts';
import type { LogPartition } from '../log.ts';
import type { Scope } from '../scope.ts';
import type { SentRecord } from './sent.ts';

/** Whose keys a stretch of a log tells of. What cannot be taken changes nobody. */
export function keysIn({ partition, records }: LogPartition): Set<string> {
  const keys = new Set<string>();
  for (const logRecord of records) {
    const { record } = decodeEvent(logRecord, partition);
    for (const key of record === undefined ? [] : keysOf(record)) keys.add(key);
  }
  return keys;
}

function keysOf(record: EventsTopicRecord | SentRecord): string[] {
  switch (record.kind) {
    case 'clock':
    case 'definition':
      return [];
    case 'link':
      // From this record on, what the visitor did is the user's.
      return [record.key, record.user];
    default:
      return ['key' in record ? record.key : buyerKeyOf(record)];
  }
}

/** Keys of which something came behind what was read, or waited to be sent then. */
export function keysUnderWay({ events, keysSince }: Pick<Scope, 'events' | 'keysSince'>): Set<string> {
  const keys = new Set(keysSince);
  const pair = (from: number, to: number): string => `${from} ${to}`;
  const readTo = new Map(events.map(({ stored: { id, head } }) => [id.partition, head?.offset ?? 0]));
  const taken = new Map<string, number>();
  for (const { walk, people } of events) {
    for (const { origin } of people.received.taken.values()) {
      if (origin.offset >= (readTo.get(origin.partition) ?? 0)) continue;
      const name = pair(origin.partition, walk.partition);
      taken.set(name, (taken.get(name) ?? 0) + 1);
    }
  }
  // One partition's records arrive at another in their order: those that are not there yet are the last ones.
  for (const { walk, people } of events) {
    for (const { record } of people.sent) {
      const name = pair(walk.partition, buyerPartition(record.key));
      const left = taken.get(name) ?? 0;
      if (left > 0) taken.set(name, left - 1);
      else for (const key of keysOf(record)) keys.add(key);
    }
  }
  return keys;
}
