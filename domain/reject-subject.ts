// What can be read in a record that was turned away: as much as it says, and nothing that it does not.
import { epochMs } from './record-fields.ts';

/** Empty text and 0 stand for what it does not say. */
export interface RawSubject {
  readonly kind: string;
  /** A buyer's key as the record would have had it. */
  readonly key: string;
  readonly source: string;
  readonly messageId: string;
  readonly event: string;
  readonly timeMs: number;
}

const nothing: RawSubject = { kind: '', key: '', source: '', messageId: '', event: '', timeMs: 0 };
const CHARACTERS_MAX = 256;
const SOURCE_CHARACTERS_MAX = 64;

function idText(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && text.length <= CHARACTERS_MAX ? text.toWellFormed() : '';
}

function keyOf(userId: string, anonymousId: string): string {
  if (userId !== '') return `u:${userId}`;
  return anonymousId === '' ? '' : `a:${anonymousId}`;
}

/** 0 for what is no time, or one that no date can be. */
function timeOf(value: unknown): number {
  return epochMs.safeParse(value).success ? (value as number) : 0;
}

/** @param text what came in: a message of a client or a record of the log, if it is JSON at all */
export function subjectOfRaw(text: string): RawSubject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return nothing;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return nothing;
  const fields = value as Readonly<Record<string, unknown>>;
  const source = typeof fields.source === 'string' ? fields.source.toWellFormed() : '';
  return {
    kind: idText(fields.kind ?? fields.type),
    key: keyOf(idText(fields.userId), idText(fields.anonymousId)),
    source: source.length <= SOURCE_CHARACTERS_MAX ? source : '',
    messageId: idText(fields.messageId),
    event: idText(fields.event ?? fields.name),
    timeMs: timeOf(fields.timestamp),
  };
}
