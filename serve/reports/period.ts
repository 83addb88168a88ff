// The period and the grouping that reports ask for.
import { z } from 'zod';
import { isoTime } from '../answer.ts';
import { problemError } from '../problem-details.ts';
import { parseIso } from '../time.ts';

const DEFAULT_DAYS = 30;
const DAYS_MAX = 800;
const DAY_MS = 86_400_000;
const ROWS_MAX = 10_000;

export const segmentBy = z.enum(['country', 'industry', 'channel']);

/** Checked by `periodOf`, which says what is wrong. */
const timeText = z
  .string()
  .max(40)
  .meta({ examples: ['2026-01-15T00:00:00Z'] });

export const periodQuery = z.object({
  from: timeText
    .optional()
    .meta({ description: `Begin, inclusive; ${DEFAULT_DAYS} days before the end if absent.` }),
  to: timeText.optional().meta({ description: 'End, exclusive; now if absent.' }),
  by: segmentBy.optional().meta({ description: 'One row for each value of this part of the segment.' }),
  limit: z
    .int()
    .min(1)
    .max(ROWS_MAX)
    .default(1_000)
    .meta({ description: 'Rows at most; `truncated` says whether there are more.' }),
});
export type PeriodQuery = z.infer<typeof periodQuery>;

export const truncated = z.boolean().meta({
  description:
    'True if there are more rows than `limit`. Ask again with a higher one, or for parts of the period by `from` and `to`.',
});

export interface Period {
  readonly fromMs: number;
  readonly toMs: number;
}

/** NaN for what is no time, or none between 1970 and 2100. */
function timeOf(text: string): number {
  const ms = parseIso(text);
  return ms >= 0 && ms <= 4_102_444_800_000 ? ms : Number.NaN;
}

/** @throws 400 for times that are none, or a period that is empty or too long. */
export function periodOf(query: Pick<PeriodQuery, 'from' | 'to'>, nowMs: number): Period {
  const toMs = query.to === undefined ? nowMs : timeOf(query.to);
  const fromMs = query.from === undefined ? toMs - DEFAULT_DAYS * DAY_MS : timeOf(query.from);
  const wrong = [
    ...(query.from !== undefined && Number.isNaN(fromMs) ? ['from'] : []),
    ...(Number.isNaN(toMs) ? ['to'] : []),
  ];
  if (wrong.length > 0) {
    throw problemError({
      status: 400,
      code: 'invalid',
      detail: `${wrong.join(' and ')} must be a time by ISO 8601 between 1970 and 2100, such as 2026-01-15T00:00:00Z.`,
    });
  }
  if (fromMs < toMs && toMs - fromMs <= DAYS_MAX * DAY_MS) return { fromMs, toMs };
  throw problemError({
    status: 400,
    code: 'invalid',
    detail: `from must be before to, by at most ${DAYS_MAX} days.`,
  });
}

export const period = z.object({ from: isoTime, to: isoTime });
