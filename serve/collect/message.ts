// One message of the Segment spec, as clients send it, becomes one record of the log.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { buyerKeyOf, type SegmentKind, type SegmentRecord, segmentKinds } from '../../domain/buyer-record.ts';
import { ID_CHARACTERS_MAX, NESTING_MAX } from '../../domain/record-fields.ts';
import { isNestedDeeper } from '../../platform/json-text.ts';
import { compileValidator, faultsOfOne } from '../../platform/validate.ts';
import { maySayLoneSurrogate, wellFormed } from '../../platform/well-formed.ts';
import type { RejectReason } from '../reject-reasons.ts';
import { FUTURE_MS_MAX, parseTime, timeFault } from '../time.ts';
import { halfFault } from '../whole-text.ts';

/** A record's JSON may have so many bytes. */
export const EVENT_BYTES_MAX = 256 * 1024;

const idText = z.union([z.string(), z.number()]).nullable().optional();
const text = z.string().max(256).nullable().optional();
const fields = z.record(z.string(), z.unknown()).nullable().optional();
const time = z.union([z.string(), z.number()]).nullable().optional();

/** What clients of the Segment spec send; what is not named here is not kept. */
export const segmentMessage = z
  .looseObject({
    type: z.enum(segmentKinds).optional(),
    messageId: idText.describe(
      'Repeats of one are one event. Make one, and keep it when you send the message again: without it a repeat is another event.',
    ),
    userId: idText,
    anonymousId: idText,
    groupId: idText,
    previousId: idText,
    event: text,
    name: text,
    category: text,
    properties: fields,
    traits: fields,
    context: fields,
    timestamp: time,
    originalTimestamp: time,
    sentAt: time,
    receivedAt: time,
  })
  .meta({ description: 'A message of the Segment spec. receivedAt counts with a secret key only.' });
type SegmentMessage = z.infer<typeof segmentMessage>;

const validate = compileValidator(segmentMessage);

/** What holds for all messages of a request. */
export interface Envelope {
  /** The kind that the route says; undefined where each message has its own `type`. */
  readonly kind: SegmentKind | undefined;
  readonly nowMs: number;
  /** The request's own `sentAt` and `receivedAt`, where it has them. */
  readonly sentAt: unknown;
  readonly receivedAt: unknown;
  /** A secret key may supply `receivedAt`. */
  readonly trusted: boolean;
  /** The name of the key. */
  readonly source: string;
}

export interface MessageFault {
  readonly taken: false;
  readonly reason: RejectReason;
  readonly detail: string;
}

export interface TakenMessage {
  readonly taken: true;
  readonly kind: SegmentKind;
  /** The buyer's key. */
  readonly key: string;
  /** The record as JSON. */
  readonly value: string;
  /** The message has an id of its own, by which repeats of it are one. */
  readonly isNamed: boolean;
}

function fault(reason: RejectReason, detail: string): MessageFault {
  return { taken: false, reason, detail };
}

type Faults = MessageFault[];

/** All faults as one, by the reason of the first. */
function joined([first, ...others]: readonly [MessageFault, ...MessageFault[]]): MessageFault {
  return fault(first.reason, [first, ...others].map(({ detail }) => detail).join('; '));
}

type Identifier = string | number | null | undefined;

/** Text of an id; undefined for none, or for one that cannot be kept as it is. */
function idOf(name: string, value: Identifier, faults: Faults): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'number') {
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      faults.push(
        fault('invalid', `${name} is a number beyond 2^53 and lost digits on its way: send it as text`),
      );
    }
    return String(value);
  }
  const half = halfFault(name, value);
  if (half !== undefined) faults.push(fault('invalid', half));
  if (value.length > ID_CHARACTERS_MAX) {
    faults.push(fault('invalid', `${name} has more than ${ID_CHARACTERS_MAX} characters`));
  }
  return value;
}

/** Whether it says an id; one is made up for those that do not. */
function isNamed({ messageId }: SegmentMessage): boolean {
  return messageId !== undefined && messageId !== null && messageId !== '';
}

function timeOr(value: unknown): string | number | undefined {
  return typeof value === 'string' || typeof value === 'number' ? value : undefined;
}

interface Times {
  readonly timestamp: number;
  readonly receivedAt: number;
  readonly supplied: boolean;
}

/**
 * Segment: timestamp = receivedAt − (sentAt − originalTimestamp), which takes the client's wrong clock out.
 * Where a trusted caller supplies `receivedAt`, the times are history and stay as they are.
 */
function timesOf(message: SegmentMessage, envelope: Envelope, faults: Faults): Times {
  const { nowMs } = envelope;
  const suppliedAt = envelope.trusted ? (message.receivedAt ?? timeOr(envelope.receivedAt)) : undefined;
  const supplied = suppliedAt !== undefined && suppliedAt !== null;
  const receivedAt = supplied ? parseTime(suppliedAt) : nowMs;
  if (supplied) {
    const wrong = timeFault('receivedAt', suppliedAt, receivedAt, nowMs + FUTURE_MS_MAX);
    if (wrong !== undefined) faults.push(fault(wrong.reason, wrong.detail));
  }
  const original = message.originalTimestamp ?? message.timestamp;
  if (original === undefined || original === null) return { timestamp: receivedAt, receivedAt, supplied };
  const sentAt = timeOr(envelope.sentAt) ?? message.sentAt ?? undefined;
  const sentMs = supplied || sentAt === undefined ? Number.NaN : parseTime(sentAt);
  const originalMs = parseTime(original);
  const timestamp = Number.isNaN(sentMs) ? originalMs : originalMs + (receivedAt - sentMs);
  const wrong = timeFault('timestamp', original, timestamp, receivedAt + FUTURE_MS_MAX);
  if (wrong !== undefined) faults.push(fault(wrong.reason, wrong.detail));
  return { timestamp, receivedAt, supplied };
}

/** What each kind cannot do without, by the Segment spec. */
function missing(kind: SegmentKind, record: SegmentRecord): string | undefined {
  switch (kind) {
    case 'track':
      return record.event === undefined ? 'a track needs an event name' : undefined;
    case 'group':
      return record.groupId === undefined ? 'a group needs a groupId' : undefined;
    case 'alias':
      // Browsers leave the previous id out where it is the visitor's own.
      return record.userId === undefined ||
        (record.previousId === undefined && record.anonymousId === undefined)
        ? 'an alias needs a userId, and the previousId (or the anonymousId) that is the same person'
        : undefined;
    case 'identify':
    case 'page':
    case 'screen':
      return undefined;
    default:
      return kind satisfies never;
  }
}

function propertiesOf(message: SegmentMessage): Record<string, unknown> | undefined {
  const properties = message.properties ?? undefined;
  const category = message.category ?? undefined;
  return category === undefined || properties?.category !== undefined
    ? properties
    : { ...properties, category };
}

function recordOf(
  kind: SegmentKind,
  message: SegmentMessage,
  envelope: Envelope,
  faults: Faults,
): SegmentRecord {
  const userId = idOf('userId', message.userId, faults);
  const anonymousId = idOf('anonymousId', message.anonymousId, faults);
  if (userId === undefined && anonymousId === undefined) {
    faults.push(fault('missing_id', 'a userId or an anonymousId is needed'));
  }
  const { timestamp, receivedAt, supplied } = timesOf(message, envelope, faults);
  // Undefined members are left out by JSON.stringify.
  const record = {
    kind,
    messageId: idOf('messageId', message.messageId, faults) ?? randomUUID(),
    userId,
    anonymousId,
    event: (kind === 'track' ? message.event : (message.name ?? message.event)) || undefined,
    groupId: idOf('groupId', message.groupId, faults),
    previousId: idOf('previousId', message.previousId, faults),
    properties: propertiesOf(message),
    traits: message.traits ?? undefined,
    context: message.context ?? undefined,
    timestamp,
    receivedAt,
    supplied: supplied ? true : undefined,
    source: envelope.source,
  } as SegmentRecord;
  const lack = missing(kind, record);
  if (lack !== undefined) faults.push(fault('invalid', lack));
  return record;
}

/** Undefined for what is nested deeper than a record may be. */
function serialised(record: SegmentRecord): string | undefined {
  try {
    const json = JSON.stringify(record);
    if (isNestedDeeper(json, NESTING_MAX)) return undefined;
    return maySayLoneSurrogate(json) ? JSON.stringify(wellFormed(record)) : json;
  } catch (error) {
    // The call stack ends somewhere behind that.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The record's JSON and key, or why it is not taken. */
export function takeMessage(given: unknown, envelope: Envelope): TakenMessage | MessageFault {
  const validated = validate(given);
  if (!validated.ok) return fault('invalid', faultsOfOne(validated.errors, 'a message'));
  const message = validated.value;
  const kind = envelope.kind ?? message.type;
  if (kind === undefined) return fault('invalid', `type must be one of ${segmentKinds.join(', ')}`);
  const faults: Faults = [];
  const record = recordOf(kind, message, envelope, faults);
  const [first, ...others] = faults;
  if (first !== undefined) return joined([first, ...others]);
  const value = serialised(record);
  if (value === undefined)
    return fault('invalid', `the event is nested more than ${NESTING_MAX} levels deep`);
  // A UTF-16 unit has at most three bytes in UTF-8: most events need no counting.
  if (value.length * 3 > EVENT_BYTES_MAX && Buffer.byteLength(value) > EVENT_BYTES_MAX) {
    return fault(
      'too_large',
      `the event has ${Buffer.byteLength(value)} bytes, ${EVENT_BYTES_MAX} is the limit`,
    );
  }
  return { taken: true, kind, key: buyerKeyOf(record), value, isNamed: isNamed(message) };
}
