// The period and the grouping that reports ask for.
import { z } from 'zod';
import { iso, isoTime } from '../answer.ts';
import { problemError } from '../problem-details.ts';
import { parseIso } from '../time.ts';

const DEFAULT_DAYS = 30;
const DAYS_MAX = 800;
const HOUR_MS = 3_600_000;
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

const grains = { hour: HOUR_MS, day: DAY_MS } as const;

/**
 * The period of a report that holds whole hours or days (UTC): one counts in the period in which it begins, whichever that is, so that
 * of two periods that meet within it never both have it.
 * @throws 400 as `periodOf`, and if none begins in the period: an answer of nothing would look like a count
 */
export function wholePeriodOf(
  query: Pick<PeriodQuery, 'from' | 'to'>,
  nowMs: number,
  grain: keyof typeof grains,
): Period {
  const { fromMs, toMs } = periodOf(query, nowMs);
  const firstFrom = (ms: number): number => Math.ceil(ms / grains[grain]) * grains[grain];
  const whole = { fromMs: firstFrom(fromMs), toMs: firstFrom(toMs) };
  if (whole.fromMs < whole.toMs) return whole;
  const begun = iso(whole.fromMs - grains[grain]);
  throw problemError({
    status: 400,
    code: 'invalid',
    detail: `No ${grain} (UTC) begins between from and to, and a ${grain} counts in the period in which it begins: ask from ${begun}.`,
  });
}

/** What `wholePeriodOf` does, for a route's description. */
export const wholePeriodNote = (grain: keyof typeof grains): string =>
  `Of the period whole ${grain}s (UTC) are counted: those that begin in it, the present one among them, so that periods which meet never both count one. ` +
  '`period` says what was counted.';

export const period = z.object({ from: isoTime, to: isoTime });
