// From the bytes of the log to a record or the reason for its rejection, by the schemas alone.
import { z } from 'zod';
import { buyerKeyOf } from '../domain/buyer-record.ts';
import { readDocument } from '../domain/definition.ts';
import {
  clockRecord,
  type DefinitionRecord,
  definitionRecord,
  type EventsTopicRecord,
  eventsTopicRecord,
  type SpendTopicRecord,
} from '../domain/record.ts';
import { leaseRequestRecord, noticeRecord, reportRecord } from '../domain/spend-record.ts';
import { accountPartition, buyerPartition } from '../platform/keys.ts';
import type { LogRecord } from './log.ts';

export type RejectReason = 'malformed' | 'invalid' | 'future' | 'misplaced';

export type Decoded<Of> =
  | { readonly record: Of; readonly reason?: undefined }
  | { readonly record?: undefined; readonly reason: RejectReason };

const spendTopicRecord = z.discriminatedUnion('kind', [
  reportRecord,
  noticeRecord,
  leaseRequestRecord,
  clockRecord,
  definitionRecord,
]);

/** An event time may be so far ahead of the earlier of receipt and append. */
const FUTURE_MAX_MS = 300_000;
const LEVELS_MAX = 1_000;
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

function deepWellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(deepWellFormed);
  if (typeof value !== 'object' || value === null) return value;
  const result: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    result[name.toWellFormed()] = deepWellFormed((value as Record<string, unknown>)[name]);
  }
  return result;
}

/** How deep objects and lists stand in each other, by the brackets that stand outside of texts. */
function levelsOf(json: string): number {
  let levels = 0;
  let most = 0;
  for (const [bracket] of json.replace(/"[^"\\]*(?:\\.[^"\\]*)*"/g, '').matchAll(/[[\]{}]/g)) {
    levels += bracket === '[' || bracket === '{' ? 1 : -1;
    most = Math.max(most, levels);
  }
  return most;
}

/** No record may be nested deeper; what is forwarded stands in a record of its own. */
function isTooDeep(json: string, value: unknown): boolean {
  if (json.length < LEVELS_MAX) return false;
  const isForward =
    typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'forward';
  return levelsOf(json) > LEVELS_MAX + (isForward ? 1 : 0);
}

/** The JSON value of the bytes, with lone surrogates made well-formed; `malformed` if there is none, or it is nested too deeply. */
export function jsonOf(value: Buffer | null): { readonly value: unknown } | 'malformed' {
  if (value === null) return 'malformed';
  const text = value.toString('utf8');
  try {
    const parsed: unknown = JSON.parse(text);
    if (isTooDeep(text, parsed)) return 'malformed';
    return { value: SURROGATE_ESCAPE.test(text) ? deepWellFormed(parsed) : parsed };
  } catch {
    return 'malformed';
  }
}

function isFuture(timeMs: number, receivedMs: number, appendMs: number): boolean {
  return timeMs > Math.min(receivedMs, appendMs) + FUTURE_MAX_MS;
}

/** Withdrawn, or with a document of its type. */
function hasDocument({ type, document }: DefinitionRecord): boolean {
  return document === null || readDocument(type, document) !== undefined;
}

/** A record of `events`, or why it is none. */
export function decodeEvent(logRecord: LogRecord, partition: number): Decoded<EventsTopicRecord> {
  const json = jsonOf(logRecord.value);
  if (json === 'malformed') return { reason: 'malformed' };
  const parsed = eventsTopicRecord.safeParse(json.value);
  if (!parsed.success) return { reason: 'invalid' };
  const record: EventsTopicRecord = parsed.data as EventsTopicRecord;
  const { appendMs } = logRecord;
  switch (record.kind) {
    case 'clock':
      return isFuture(record.time, appendMs, appendMs) ? { reason: 'future' } : { record };
    case 'definition':
      return hasDocument(record) ? { record } : { reason: 'invalid' };
    case 'exposure':
    case 'receipt':
    case 'link':
    case 'revoke':
    case 'merge':
    case 'forward':
    case 'linkEnded':
    case 'linkKept':
    case 'member':
    case 'backfill':
    case 'past':
      return buyerPartition(record.key) === partition ? { record } : { reason: 'misplaced' };
    default:
      if (record.userId === undefined && record.anonymousId === undefined) return { reason: 'invalid' };
      if (isFuture(record.timestamp, record.receivedAt, appendMs)) return { reason: 'future' };
      return buyerPartition(buyerKeyOf(record)) === partition ? { record } : { reason: 'misplaced' };
  }
}

/** A record of `spend`, or why it is none. */
export function decodeSpend(logRecord: LogRecord, partition: number): Decoded<SpendTopicRecord> {
  const json = jsonOf(logRecord.value);
  if (json === 'malformed') return { reason: 'malformed' };
  const parsed = spendTopicRecord.safeParse(json.value);
  if (!parsed.success) return { reason: 'invalid' };
  const record: SpendTopicRecord = parsed.data as SpendTopicRecord;
  const { appendMs } = logRecord;
  switch (record.kind) {
    case 'clock':
      return isFuture(record.time, appendMs, appendMs) ? { reason: 'future' } : { record };
    case 'definition':
      return hasDocument(record) ? { record } : { reason: 'invalid' };
    default: {
      const timeMs = record.kind === 'report' ? record.asOf : record.timestamp;
      const receivedMs = record.kind === 'leaseRequest' ? appendMs : record.receivedAt;
      if (isFuture(timeMs, receivedMs, appendMs)) return { reason: 'future' };
      return accountPartition(record.account) === partition ? { record } : { reason: 'misplaced' };
    }
  }
}

/** The watermark that this record asks for; 0 if it does not move it. */
export function raises(record: EventsTopicRecord | SpendTopicRecord): number {
  switch (record.kind) {
    case 'clock':
      return record.time;
    case 'notice':
      return record.timestamp;
    case 'report':
      return Math.min(record.asOf, record.receivedAt);
    case 'exposure':
    case 'receipt':
    case 'definition':
    case 'leaseRequest':
    case 'link':
    case 'revoke':
    case 'merge':
    case 'forward':
    case 'linkEnded':
    case 'linkKept':
    case 'member':
    case 'backfill':
    case 'past':
      return 0;
    default:
      return record.timestamp;
  }
}
