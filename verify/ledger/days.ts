// The days of an account, as docs/decisions/spend.md counts them.
import { DAY_MS, HOUR_MS } from './reports.ts';

export const MINUTE_MS = 60_000;
const DAY_OPEN_MS = 35 * DAY_MS;

/** Midnight of the account's day. */
export function dayOf(timeMs: number, utcOffsetMinutes: number): number {
  const shifted = timeMs + utcOffsetMinutes * MINUTE_MS;
  return shifted - (((shifted % DAY_MS) + DAY_MS) % DAY_MS) - utcOffsetMinutes * MINUTE_MS;
}

export function isOpen(dayMs: number, watermarkMs: number): boolean {
  return dayMs + DAY_MS + DAY_OPEN_MS > Math.floor(watermarkMs / HOUR_MS) * HOUR_MS;
}
