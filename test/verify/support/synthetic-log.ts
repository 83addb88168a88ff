// A partition of the log made by hand: records at given offsets, as if they had been read from Kafka.
import { type DefinitionType, definitionSchemas } from '../../../domain/definition.ts';
import type { EventsTopicRecord, SpendTopicRecord } from '../../../domain/record.ts';
import { decodeEvent, decodeSpend } from '../../../verify/decode.ts';
import type { LogPartition } from '../../../verify/log.ts';
import { type Walk, walk } from '../../../verify/watermark.ts';

/** Noon of a day long ago; the times of hand-made records are relative to it. */
export const NOON_MS = Date.UTC(2024, 0, 10, 12);
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/** Appended long after everything that they tell of. */
const APPEND_MS = NOON_MS + 400 * DAY_MS;

export type Body = Readonly<Record<string, unknown>>;

/** `values` stand at offsets 0, 1, 2, …; a string is taken as it is. */
export function logOf(partition: number, values: readonly (Body | string | null)[]): LogPartition {
  const records = values.map((value, offset) => ({
    offset,
    appendMs: APPEND_MS,
    key: null,
    value: value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    headers: [],
  }));
  return { topic: 'synthetic', partition, low: 0, high: records.length, records, gaps: [] };
}

export function walkEvents(
  partition: number,
  values: readonly (Body | string | null)[],
): Walk<EventsTopicRecord> {
  return walk(logOf(partition, values), decodeEvent);
}

export function walkSpend(
  partition: number,
  values: readonly (Body | string | null)[],
): Walk<SpendTopicRecord> {
  return walk(logOf(partition, values), decodeSpend);
}

/** As publishers write it: all defaults filled in. */
export function definition(type: DefinitionType, id: string, given: Body, revision = 1): Body {
  const document = definitionSchemas[type].parse(given);
  const common = { previousHash: null, by: 'test', why: '', at: NOON_MS };
  const hash = String(revision).repeat(64).slice(0, 64);
  return { kind: 'definition', type, id, revision, hash, document, ...common };
}

export function clock(minutes: number): Body {
  return { kind: 'clock', time: NOON_MS + minutes * MINUTE_MS, supplied: true };
}

/** An event of user `who` so many minutes after noon; its name is its behaviour (see `plainBehaviours`). */
export function event(
  who: string,
  messageId: string,
  minutes: number,
  name: string,
  properties: Body = {},
): Body {
  const timestamp = NOON_MS + minutes * MINUTE_MS;
  const common = { userId: who, timestamp, receivedAt: timestamp, supplied: true };
  return { kind: 'track', event: name, messageId, properties, ...common };
}

/** Every standard behaviour is an event of its own name. */
export const plainBehaviours = definition('behaviours', 'default', {
  rules: ['visit', 'search', 'view', 'contact', 'inquiry', 'order', 'fulfil'].map((behaviour) => ({
    kind: 'track',
    event: behaviour,
    behaviour,
  })),
});
