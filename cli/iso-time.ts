// Times as people give them to commands.
import { InvalidArgumentError } from 'commander';
import { parseIso } from '../serve/time.ts';

/** Epoch milliseconds of an ISO 8601 time or day, as the API reads them; undefined for anything else. */
export function isoTimeMs(text: string): number | undefined {
  const timeMs = parseIso(text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** As `isoTimeMs`, of an option. @throws InvalidArgumentError */
export function parseIsoTime(text: string): number {
  const timeMs = isoTimeMs(text);
  if (timeMs === undefined)
    throw new InvalidArgumentError('must be an ISO 8601 time, such as 2027-01-31T00:00:00Z');
  return timeMs;
}
