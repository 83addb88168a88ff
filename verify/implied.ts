// How much there must be to compare: a check that compared nothing has shown nothing.
import type { Comparison } from './compare.ts';

/** Least counts that the feeders' reports imply, summed; zeros without a report. */
export interface Implied {
  readonly events: number;
  readonly links: number;
  readonly rejects: number;
  readonly duplicates: number;
  readonly late: number;
  readonly spend: number;
}

export const nothingImplied: Implied = { events: 0, links: 0, rejects: 0, duplicates: 0, late: 0, spend: 0 };

export interface Shortfall {
  readonly kind: string;
  readonly compared: number;
  readonly atLeast: number;
}

/** Kinds that cannot be empty where there were events. */
const withEvents = [
  'buyers',
  'levels',
  'stages',
  'engagement sums',
  'timers',
  'funnel_hours rows',
  'north_star_days rows',
  'transitions rows',
];
/** Kinds that cannot be empty where there was spend. */
const withSpend = ['accounts', 'settled days', 'pacing', 'notice memory', 'campaign_hours rows'];

/** Kinds of which fewer were compared than implied; of positions there is always something to compare. */
export function shortfallsOf(comparison: Comparison, implied: Implied): Shortfall[] {
  const atLeast = new Map<string, number>([
    ['offsets', Math.max(1, implied.events + implied.spend)],
    ['heads', 1],
    ['definitions in force', implied.events + implied.spend > 0 ? 1 : 0],
    ['events rows', implied.events],
    ['applied messages', implied.events > 0 ? 1 : 0],
    ['links rows', implied.links],
    ['rejects rows', implied.rejects],
    ['duplicate records', implied.duplicates],
    ['late records', implied.late],
    ['spend rows', implied.spend],
  ]);
  if (implied.events > 0) for (const kind of withEvents) atLeast.set(kind, 1);
  if (implied.spend > 0) for (const kind of withSpend) atLeast.set(kind, 1);
  return [...atLeast]
    .map(([kind, least]) => ({ kind, compared: comparison.compared(kind), atLeast: least }))
    .filter(({ compared, atLeast: least }) => compared < least);
}
