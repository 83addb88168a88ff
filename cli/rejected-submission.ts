// How a record of events.rejected is submitted again: which route, and a body whose times are those of its first receipt.

import { isUtf8 } from 'node:buffer';
import { segmentKinds } from '../domain/buyer-record.ts';
import type { RejectedRecord } from '../domain/record.ts';
import { jsonOf, jsonText } from '../platform/json-text.ts';
import { parseTime } from '../serve/time.ts';

export interface Submission {
  readonly route: string;
  readonly contentType: string;
  readonly body: string;
}

interface Fields {
  readonly [name: string]: unknown;
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** Epoch milliseconds, as collect reads them; NaN for what is no time there. */
function msOf(value: unknown): number {
  return typeof value === 'number' || typeof value === 'string' ? parseTime(value) : Number.NaN;
}

/** What a time is in an envelope; collect heeds nothing else there. */
function timeOr(value: unknown): string | number | undefined {
  return typeof value === 'string' || typeof value === 'number' ? value : undefined;
}

/** Without the `receivedAt` that was not heeded when it came by a write key: it is a secret key that submits it now. */
function heeded(fields: Fields, { trusted }: RejectedRecord): Fields {
  const { receivedAt, ...rest } = fields;
  // What is no time was wrong by whatever key it came.
  return trusted === false && timeOr(receivedAt) !== undefined ? rest : fields;
}

/**
 * Collect would correct the client's clock by how long ago `sentAt` is, and that was at the first receipt, not now:
 * the correction is made here, by the time of the reject. A message without a time happened when it first came.
 */
function withFirstTimes(message: Fields, atMs: number, envelope: Fields): Fields {
  const suppliedAt = message.receivedAt ?? timeOr(envelope.receivedAt);
  if (suppliedAt !== undefined && suppliedAt !== null) return message;
  const { sentAt, originalTimestamp, timestamp, ...rest } = message;
  const original = originalTimestamp ?? timestamp;
  if (original === undefined || original === null) return { ...rest, timestamp: atMs };
  const skewMs = atMs - msOf(timeOr(envelope.sentAt) ?? sentAt);
  const originalMs = msOf(original);
  // What is no time stays as it is: it will be said again.
  return {
    ...rest,
    timestamp: Number.isNaN(skewMs) || Number.isNaN(originalMs) ? original : originalMs + skewMs,
  };
}

/** A message without an id gets the same one each time that it is submitted, so that repeats change nothing. */
function identified(message: Fields, id: string): Fields {
  const { messageId } = message;
  return messageId === undefined || messageId === null || messageId === ''
    ? { ...message, messageId: id }
    : message;
}

function json(route: string, body: unknown): Submission {
  return { route, contentType: 'application/json', body: jsonText(body) };
}

function messageSubmission(route: string, text: string, record: RejectedRecord, id: string): Submission {
  const value = fieldsOf(jsonOf(text));
  if (value === undefined) return { route, contentType: 'application/json', body: text };
  const again = (message: Fields, messageId: string, envelope: Fields = {}): Fields =>
    identified(withFirstTimes(heeded(message, record), record.at, envelope), messageId);
  const isBatch = /\/(batch|import|b)$/.test(route);
  if (!isBatch) return json(route, again(value, id));
  // A batch's reject is one of its messages, or, where nothing could be told apart, the batch.
  if (!Array.isArray(value.batch)) return json(route, { batch: [again(value, id)] });
  const { batch, ...envelope } = heeded(value, record);
  const messages = (batch as unknown[]).map((message, index) => {
    const fields = fieldsOf(message);
    return fields === undefined ? message : again(fields, `${id}:${index}`, envelope);
  });
  const { sentAt: _sentAt, ...rest } = envelope;
  return json(route, { ...rest, batch: messages });
}

/** Figures without `asOf` are as of their first receipt; notices without a time happened then. */
function spendSubmission(route: string, text: string, atMs: number): Submission {
  const value = fieldsOf(jsonOf(text));
  const container = route === '/v1/spend' ? 'rows' : 'notices';
  const time = route === '/v1/spend' ? 'asOf' : 'timestamp';
  if (value !== undefined && value[container] === undefined) {
    return json(route, value[time] || value.receivedAt ? value : { ...value, [time]: atMs });
  }
  const isJson = /^\s*[[{]/.test(text);
  return { route, contentType: isJson ? 'application/json' : 'text/csv', body: text };
}

/** A record that stood in the log and could not be applied goes in again by the route that would have written it. */
function logSubmission(value: Fields | undefined, id: string): Submission | undefined {
  if (value === undefined) return undefined;
  const { kind, receivedAt, supplied, source: _source, ...rest } = value;
  const receipt = supplied === true ? { receivedAt } : {};
  if (kind === 'report') {
    const { periodStart, account: _account, messageId: _messageId, ...row } = rest;
    return json('/v1/spend', { ...row, start: periodStart, ...receipt });
  }
  if (kind === 'notice') return json('/v1/notices', { ...rest, ...receipt });
  const type = kind ?? rest.type;
  if (!segmentKinds.some((known) => known === type)) return undefined;
  return json('/v1/import', { batch: [identified({ ...rest, type, ...receipt }, id)] });
}

/**
 * A line of CSV of another width, as `serve` refuses it. Older versions kept what cells it had as a row, which would be taken for
 * other figures than the sheet has.
 */
const OTHER_WIDTH = /^the line has \d+ columns, the header \d+$/;

/**
 * Undefined for what no route takes: control records, lines of CSV of another width, and bytes that say nothing.
 * `position` names the reject.
 */
export function submissionOf(record: RejectedRecord, position: string): Submission | undefined {
  const raw = Buffer.from(record.raw, 'base64');
  // As text it would say something else, and be taken for it.
  if (!isUtf8(raw)) return undefined;
  const text = raw.toString('utf8');
  const id = `rejected:${position}`;
  if (record.route === '') return logSubmission(fieldsOf(jsonOf(text)), id);
  // Each has its time and id.
  if (record.route === '/v1/exposures')
    return { route: record.route, contentType: 'application/json', body: text };
  if (record.route === '/v1/spend' || record.route === '/v1/notices') {
    if (OTHER_WIDTH.test(record.detail)) return undefined;
    return spendSubmission(record.route, text, record.at);
  }
  return messageSubmission(record.route, text, record, id);
}
