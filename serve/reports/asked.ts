// What all reports of a period say about what was asked, and what they are made with.
import { z } from 'zod';
import { iso } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import type { RunReport } from './named-queries.ts';
import { type PeriodQuery, period } from './period.ts';
import { type StandingOf, standing } from './standing.ts';

export interface ReportPorts
  extends Pick<
    Dependencies,
    'clickhouse' | 'definitionLog' | 'generations' | 'clock' | 'redis' | 'namespace'
  > {
  readonly run: RunReport;
  readonly standingOf: StandingOf;
}

export const tags = ['reports'];
export const segment = z.string().meta({ description: 'Empty without `by`.' });
export const countedSegment = segment.meta({
  description:
    'Empty without `by`. `other`: what found no seat among the segments that are told apart in its hour or day.',
});

/** The period as it was counted. */
export const asked = { period, by: z.string().nullable(), generation: z.int(), ...standing };

export function askedOf(query: PeriodQuery, fromMs: number, toMs: number, generation: number) {
  return { period: { from: iso(fromMs), to: iso(toMs) }, by: query.by ?? null, generation };
}
