// What `flywheel keys` is told: durations, ends, limits.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BURST_MAX, type KeyLimits, PER_SECOND_MAX } from '../platform/hashed-keys.ts';
import { isoTimeMs } from './iso-time.ts';

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** A burst that nobody names is that of two seconds. */
const BURST_SECONDS = 2;

/** Milliseconds of `90s`, `15m`, `24h`, `7d` or `0`. @throws InvalidArgumentError */
export function durationMs(text: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  if (text === '0') return 0;
  if (match === null) throw new InvalidArgumentError('must be like 90s, 15m, 24h, 7d or 0');
  return Number(match[1]) * UNIT_MS[match[2]!]!;
}

/** Epoch milliseconds of an ISO 8601 time or of a duration from now, or `never`. (Of null commander makes ''.) @throws InvalidArgumentError */
export function endMs(text: string): number | 'never' {
  if (text === 'never') return text;
  if (/^\d{1,6}[smhd]$/.test(text)) return Date.now() + durationMs(text);
  const timeMs = isoTimeMs(text);
  if (timeMs === undefined)
    throw new InvalidArgumentError(
      'must be like 90d, an ISO 8601 time such as 2027-01-31T00:00:00Z, or never',
    );
  return timeMs;
}

function wholeNumber(text: string, max: number): number {
  const value = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  throw new InvalidArgumentError(`must be a whole number from 1 to ${max}`);
}

export interface LimitOptions {
  readonly requestsPerSecond?: number;
  readonly requestBurst?: number;
  readonly eventsPerSecond?: number;
  readonly eventBurst?: number;
}

export function addLimitOptions(command: Command): Command {
  const number = (flags: string, max: number, what: string): Option =>
    new Option(flags, what).argParser((text) => wholeNumber(text, max));
  return command
    .addOption(
      number('--requests-per-second <n>', PER_SECOND_MAX, 'requests that the key may make, in the long run'),
    )
    .addOption(number('--request-burst <n>', BURST_MAX, 'requests at once (default: those of two seconds)'))
    .addOption(
      number(
        '--events-per-second <n>',
        PER_SECOND_MAX,
        'messages that a write key may send, each of a batch counted',
      ),
    )
    .addOption(number('--event-burst <n>', BURST_MAX, 'messages at once (default: those of two seconds)'));
}

/** Undefined where none is given. @throws InvalidArgumentError for a burst without a rate */
export function limitsOf(options: LimitOptions): KeyLimits | undefined {
  const { requestsPerSecond, requestBurst, eventsPerSecond, eventBurst } = options;
  const rate = (perSecond: number | undefined, burst: number | undefined, what: string) => {
    if (perSecond !== undefined) return { perSecond, burst: burst ?? perSecond * BURST_SECONDS };
    if (burst !== undefined) throw new InvalidArgumentError(`--${what}-burst needs --${what}s-per-second`);
    return undefined;
  };
  const requests = rate(requestsPerSecond, requestBurst, 'request');
  const events = rate(eventsPerSecond, eventBurst, 'event');
  if (requests === undefined && events === undefined) return undefined;
  return { ...(requests === undefined ? {} : { requests }), ...(events === undefined ? {} : { events }) };
}
