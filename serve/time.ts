// Times as clients write them: ISO 8601 or epoch milliseconds.
import { firstOf } from '../domain/text.ts';

/** The range of domain/record.ts `epochMs`: before 1990 and from 2100 on a time is absurd. */
const EARLIEST_MS = 631_152_000_000;
const LATEST_MS = 4_102_444_800_000;

/** How far ahead of its receipt a record's time may be. */
export const FUTURE_MS_MAX = 300_000;

const ISO =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?) ?(Z|z|[+-]\d{2}(?::?\d{2})?)?)?$/;

/** Whether the month has the day: `Date.parse` takes 30 February for 2 March. */
function isDay(date: string): boolean {
  const day = Number(date.slice(8, 10));
  if (day <= 28) return true;
  const [year, month] = [Number(date.slice(0, 4)), Number(date.slice(5, 7))];
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day;
}

const MINUTE_MS = 60_000;

/**
 * Epoch milliseconds of ISO 8601 text; NaN for other text.
 * @param utcOffsetMinutes of what is written without an offset: UTC unless said, whatever this machine's zone is
 */
export function parseIso(text: string, utcOffsetMinutes = 0): number {
  if (!isDay(text)) return Number.NaN;
  // What every client's `toISOString` writes.
  if (text.length === 24 && text.charCodeAt(23) === 90 && text.charCodeAt(10) === 84) return Date.parse(text);
  const match = ISO.exec(text);
  if (match === null) return Number.NaN;
  const [, date, time = '00:00', offset] = match;
  const written = `${date}T${time.replace(',', '.')}`;
  if (offset === undefined) return Date.parse(`${written}Z`) - utcOffsetMinutes * MINUTE_MS;
  const zone = /^[+-]\d{2}$/.test(offset) ? `${offset}:00` : offset.replace(/^([+-]\d{2})(\d{2})$/, '$1:$2');
  return Date.parse(`${written}${zone.toUpperCase()}`);
}

/** Epoch milliseconds of ISO text (as `parseIso`) or of a number of milliseconds; NaN when it is neither. */
export function parseTime(value: string | number, utcOffsetMinutes = 0): number {
  return typeof value === 'number' ? Math.round(value) : parseIso(value, utcOffsetMinutes);
}

/** ISO 8601 with anything that it may have. */
export const TIME_CHARACTERS_MAX = 64;

/** As it came, or its beginning: what is no time may be a whole body, and is said of each message of its batch. */
function quoted(given: string | number): string {
  return JSON.stringify(typeof given === 'string' ? firstOf(given, TIME_CHARACTERS_MAX) : given);
}

export function isPlausible(timeMs: number): boolean {
  return timeMs >= EARLIEST_MS && timeMs <= LATEST_MS;
}

/** What is wrong with a time, in words; undefined when nothing is. `limitMs` is what it may not lie beyond. */
export function timeFault(
  name: string,
  given: string | number,
  timeMs: number,
  limitMs: number,
): { reason: 'invalid' | 'absurd_time' | 'future'; detail: string } | undefined {
  if (Number.isNaN(timeMs)) {
    return {
      reason: 'invalid',
      detail: `${name} ${quoted(given)} is neither ISO 8601 nor epoch milliseconds`,
    };
  }
  if (!isPlausible(timeMs)) {
    const hint =
      typeof given === 'number' && isPlausible(given * 1_000)
        ? '; it looks like seconds, send milliseconds'
        : '';
    return {
      reason: 'absurd_time',
      detail: `${name} ${quoted(given)} is not between 1990 and 2100${hint}`,
    };
  }
  if (timeMs > limitMs) {
    return {
      reason: 'future',
      detail: `${name} ${new Date(timeMs).toISOString()} is more than ${FUTURE_MS_MAX / 60_000} minutes ahead of its receipt`,
    };
  }
  return undefined;
}
