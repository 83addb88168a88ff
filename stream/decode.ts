// From a Kafka message to a record that can be trusted, or to the reason why not. A bad record never stops a partition.
import { isUtf8 } from 'node:buffer';
import {
  buyerKeyOf,
  type ExposureRecord,
  type ReceiptRecord,
  type SegmentRecord,
} from '../domain/buyer-record.ts';
import { readDocument } from '../domain/definition.ts';
import type { BackfillRecord, DerivedRecord, RevokeRecord } from '../domain/identity-record.ts';
import type { ClockRecord, DefinitionRecord, EventsTopicRecord, RejectedRecord } from '../domain/record.ts';
import { NESTING_MAX } from '../domain/record-fields.ts';
import type { LeaseRequestRecord, NoticeRecord, ReportRecord } from '../domain/spend-record.ts';
import { firstOf } from '../domain/text.ts';
import type { AccountRejection } from '../domain/transition-account.ts';
import { isNestedDeeper } from '../platform/json-text.ts';
import { accountPartition, buyerPartition, type StatefulTopic } from '../platform/keys.ts';
import { validateEventsRecord, validateRejectedRecord, validateSpendRecord } from '../platform/validate.ts';
import { maySayLoneSurrogate, wellFormed } from '../platform/well-formed.ts';

/** Why a message is no record of its topic. */
export const decodeRejections = ['malformed', 'invalid', 'future', 'misplaced'] as const;

/** Why a record is not taken: it is none, or the ledger refuses it. */
export type RejectReason = (typeof decodeRejections)[number] | AccountRejection;

/** A message as it comes from Kafka. */
export interface Message {
  readonly partition: number;
  readonly offset: number;
  /** Most often that of the state which the record needs; what is true is in its value. */
  readonly key: string | null;
  readonly value: Buffer | null;
  /** Append time (LogAppendTime). */
  readonly appendMs: number;
  readonly size: number;
}

type Keyed<Kind extends string, Record_> = {
  readonly kind: Kind;
  readonly record: Record_;
  /** Whose state it is: buyer key or account. */
  readonly key: string;
  /** What it raises the watermark to; 0 if it does not move it. */
  readonly timeMs: number;
};

export type Decoded =
  | (Keyed<'segment', SegmentRecord> & {
      /** The JSON as it stands in the log, in well-formed UTF-8. */
      readonly raw: Uint8Array;
    })
  | Keyed<'exposure', ExposureRecord>
  | Keyed<'receipt', ReceiptRecord>
  | Keyed<'revoke', RevokeRecord>
  | Keyed<'backfill', BackfillRecord>
  | Keyed<'derived', DerivedRecord>
  | Keyed<'clock', ClockRecord>
  | (Keyed<'definition', DefinitionRecord> & {
      /** With all defaults filled in; null withdraws the definition. */
      readonly document: Readonly<Record<string, unknown>> | null;
    })
  | Keyed<'spend', ReportRecord | NoticeRecord | LeaseRequestRecord>
  | Keyed<'rejected', RejectedRecord>
  | {
      readonly kind: 'reject';
      readonly reason: RejectReason;
      readonly detail: string;
      readonly key: '';
      readonly timeMs: 0;
    };

/** No host may be further ahead of the clock than this, or one in 2099 would make everybody late. */
export const futureMaxMs = 300_000;

function reject(reason: RejectReason, detail: string): Decoded {
  return { kind: 'reject', reason, detail: firstOf(detail, 2_048), key: '', timeMs: 0 };
}

/** A forward holds the record of another key one level further in. */
function nestingMaxOf(value: unknown): number {
  return (value as { kind?: unknown } | null)?.kind === 'forward' ? NESTING_MAX + 1 : NESTING_MAX;
}

/** What is no UTF-8 became U+FFFD in the text, and is to be stored so. */
function wellFormedBytes(bytes: Buffer, text: string): Buffer {
  return isUtf8(bytes) ? bytes : Buffer.from(text);
}

type SpendRecord = ReportRecord | NoticeRecord | LeaseRequestRecord | ClockRecord | DefinitionRecord;

function tooFarAhead(timeMs: number, receivedMs: number, appendMs: number): Decoded | null {
  const nowMs = Math.min(receivedMs, appendMs);
  if (timeMs <= nowMs + futureMaxMs) return null;
  const ahead = Math.round((timeMs - nowMs) / 1_000);
  // Of a broker whose clock is behind everything live is ahead.
  const when = receivedMs <= appendMs ? 'it was received' : 'Kafka took it, by the clock of the broker';
  return reject(
    'future',
    `the event time is ${ahead} s ahead of when ${when}; at most ${futureMaxMs / 1_000} s are taken`,
  );
}

function misplaced(key: string, expected: number, partition: number): Decoded | null {
  if (expected === partition) return null;
  return reject(
    'misplaced',
    `the key ${key} belongs to partition ${expected}, the record stands in ${partition}`,
  );
}

/** One that fits no schema would stop every partition that it stands in. */
function fromDefinition(record: DefinitionRecord): Decoded {
  const { type, id } = record;
  if (record.document === null) return { kind: 'definition', record, document: null, key: '', timeMs: 0 };
  const document = readDocument(type, record.document);
  if (document === undefined)
    return reject('invalid', `the document of ${type}/${id} does not fit the schema of its type`);
  return { kind: 'definition', record, document, key: '', timeMs: 0 };
}

/** What neither is judged nor moves the watermark. */
function keyed(kind: Decoded['kind'], record: { readonly key: string }, partition: number): Decoded {
  const { key } = record;
  return misplaced(key, buyerPartition(key), partition) ?? ({ kind, record, key, timeMs: 0 } as Decoded);
}

function fromEvents(record: EventsTopicRecord, raw: Uint8Array, message: Message): Decoded {
  const { appendMs, partition } = message;
  switch (record.kind) {
    case 'clock':
      return (
        tooFarAhead(record.time, appendMs, appendMs) ?? {
          kind: 'clock',
          record,
          key: '',
          timeMs: record.time,
        }
      );
    case 'definition':
      return fromDefinition(record);
    case 'exposure':
    case 'receipt':
    case 'revoke':
    case 'backfill':
      return keyed(record.kind, record, partition);
    case 'link':
    case 'merge':
    case 'forward':
    case 'linkEnded':
    case 'linkKept':
    case 'member':
    case 'past':
      return keyed('derived', record, partition);
    default: {
      if (record.userId === undefined && record.anonymousId === undefined) {
        return reject('invalid', 'neither userId nor anonymousId is there: one of them must be');
      }
      const key = buyerKeyOf(record);
      return (
        tooFarAhead(record.timestamp, record.receivedAt, appendMs) ??
        misplaced(key, buyerPartition(key), partition) ?? {
          kind: 'segment',
          record,
          key,
          timeMs: record.timestamp,
          raw,
        }
      );
    }
  }
}

function fromSpend(record: SpendRecord, message: Message): Decoded {
  const { appendMs, partition } = message;
  switch (record.kind) {
    case 'clock':
      return (
        tooFarAhead(record.time, appendMs, appendMs) ?? {
          kind: 'clock',
          record,
          key: '',
          timeMs: record.time,
        }
      );
    case 'definition':
      return fromDefinition(record);
    default: {
      const saidMs = record.kind === 'report' ? record.asOf : record.timestamp;
      const receivedMs = record.kind === 'leaseRequest' ? appendMs : record.receivedAt;
      const timeMs =
        record.kind === 'leaseRequest' ? 0 : record.kind === 'report' ? Math.min(saidMs, receivedMs) : saidMs;
      return (
        tooFarAhead(saidMs, receivedMs, appendMs) ??
        misplaced(record.account, accountPartition(record.account), partition) ?? {
          kind: 'spend',
          record,
          key: record.account,
          timeMs,
        }
      );
    }
  }
}

/** Decodes and validates one message of a topic. */
export function decode(topic: StatefulTopic, message: Message): Decoded {
  if (message.value === null) return reject('malformed', 'the record has no value');
  const text = message.value.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return reject('malformed', `the record is not JSON: ${(error as Error).message}`);
  }
  const nestingMax = nestingMaxOf(value);
  if (isNestedDeeper(text, nestingMax))
    return reject('malformed', `the record is nested more than ${nestingMax} levels deep`);
  // Lone surrogates become U+FFFD, or ClickHouse and MessagePack would differ.
  if (maySayLoneSurrogate(text)) value = wellFormed(value);
  switch (topic) {
    case 'events': {
      const valid = validateEventsRecord(value);
      return valid.ok
        ? fromEvents(valid.value, wellFormedBytes(message.value, text), message)
        : reject('invalid', valid.errors.join('; '));
    }
    case 'spend': {
      const valid = validateSpendRecord(value);
      return valid.ok ? fromSpend(valid.value, message) : reject('invalid', valid.errors.join('; '));
    }
    case 'rejected': {
      const valid = validateRejectedRecord(value);
      if (!valid.ok) return reject('invalid', valid.errors.join('; '));
      return { kind: 'rejected', record: valid.value, key: '', timeMs: 0 };
    }
  }
}
