// Everything in a partition's log that concerns one key, in the order of the log: own records, and what outboxes sent.

import { buyerKeyOf, type ExposureRecord } from '../../domain/buyer-record.ts';
import type { BackfillRecord, DerivedRecord, RevokeRecord } from '../../domain/identity-record.ts';
import type { EventsTopicRecord } from '../../domain/record.ts';
import type { OwnRecord } from '../judge.ts';
import type { Step, Walk } from '../watermark.ts';
import { isDerived, isSegment } from './kinds.ts';

/** Where in the partition's log something happens. */
export interface At {
  readonly index: number;
  readonly offset: number;
  /** The partition's watermark after the record. */
  readonly watermarkMs: number;
  readonly appendMs: number;
}

export interface OwnHappening extends At {
  readonly kind: 'own';
  readonly own: OwnRecord;
}

type Recorded<Record_ extends EventsTopicRecord> = Record_ extends EventsTopicRecord
  ? At & { readonly kind: Record_['kind']; readonly record: Record_ }
  : never;

export type Happening =
  | OwnHappening
  | Recorded<ExposureRecord | RevokeRecord | BackfillRecord | DerivedRecord>;

/** By key, in the order in which the keys first occur. */
export function happeningsOf(
  walk: Walk<EventsTopicRecord>,
  taken: ReadonlyMap<number, DerivedRecord>,
): Map<string, Happening[]> {
  const byKey = new Map<string, Happening[]>();
  const add = (key: string, happening: Happening): void => {
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, [happening]);
    else known.push(happening);
  };
  for (const step of walk.steps) {
    const { record } = step;
    if (record === undefined) continue;
    if (isSegment(record)) {
      const { index, offset, watermarkMs } = step;
      const key = buyerKeyOf(record);
      const own = { index, offset, watermarkMs, record, key, timeMs: record.timestamp };
      add(key, { ...atOf(step), kind: 'own', own });
    } else if (isGiven(record) || isTaken(step, record, taken)) {
      add(record.key, { ...atOf(step), kind: record.kind, record } as Happening);
    }
  }
  return byKey;
}

/** What neither is collected nor comes from an outbox. */
function isGiven(record: EventsTopicRecord): record is ExposureRecord | RevokeRecord | BackfillRecord {
  return record.kind === 'exposure' || record.kind === 'revoke' || record.kind === 'backfill';
}

function isTaken(
  { index }: Step<EventsTopicRecord>,
  record: EventsTopicRecord,
  taken: ReadonlyMap<number, DerivedRecord>,
): record is DerivedRecord {
  return isDerived(record) && taken.has(index);
}

function atOf({ index, offset, watermarkMs, appendMs }: Step<EventsTopicRecord>): At {
  return { index, offset, watermarkMs, appendMs };
}
