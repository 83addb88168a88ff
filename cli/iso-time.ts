// Times as people give them to commands.
import { InvalidArgumentError } from 'commander';

/** Epoch milliseconds of an ISO 8601 time or day; undefined for anything else, of which `Date.parse` takes a lot: `-5` is a day in 2001. */
export function isoTimeMs(text: string): number | undefined {
  const timeMs = /^\d{4}-\d{2}-\d{2}(T|$)/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** As `isoTimeMs`, of an option. @throws InvalidArgumentError */
export function parseIsoTime(text: string): number {
  const timeMs = isoTimeMs(text);
  if (timeMs === undefined)
    throw new InvalidArgumentError('must be an ISO 8601 time, such as 2027-01-31T00:00:00Z');
  return timeMs;
}
