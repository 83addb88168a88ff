// The period and the grouping that reports ask for.
import { z } from 'zod';
import { iso, isoTime } from '../answer.ts';
import { problemError } from '../problem-details.ts';
import { parseIso } from '../time.ts';

const DEFAULT_DAYS = 30;
const DAYS_MAX = 800;
const MINUTE_MS = 60_000;
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
  from: timeText.optional().meta({
    description: `Begin, inclusive; ${DEFAULT_DAYS} days before the end if absent, ${DAYS_MAX} at most.`,
  }),
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

/** The first full hour or day from a time on. */
function firstFrom(ms: number, grainMs: number): number {
  return Math.ceil(ms / grainMs) * grainMs;
}

/** What a period is told in which no hour or day begins: an answer of nothing would look like a count. */
function noneBegins(grain: keyof typeof grains, { fromMs }: Period): Error {
  const begun = iso(firstFrom(fromMs, grains[grain]) - grains[grain]);
  return problemError({
    status: 400,
    code: 'invalid',
    detail: `No ${grain} (UTC) begins between from and to, and a ${grain} counts in the period in which it begins: ask from ${begun}.`,
  });
}

/**
 * The period of a report that holds whole hours or days (UTC): one counts in the period in which it begins, whichever that is, so that
 * of two periods that meet within it never both have it.
 * @throws 400 as `periodOf`, and if none begins in the period
 */
export function wholePeriodOf(
  query: Pick<PeriodQuery, 'from' | 'to'>,
  nowMs: number,
  grain: keyof typeof grains,
): Period {
  const asked = periodOf(query, nowMs);
  const grainMs = grains[grain];
  const whole = { fromMs: firstFrom(asked.fromMs, grainMs), toMs: firstFrom(asked.toMs, grainMs) };
  if (whole.fromMs < whole.toMs) return whole;
  throw noneBegins(grain, asked);
}

/**
 * The period of a report that holds hours of accounts: one counts in the period in which it begins, as by `wholePeriodOf`. Hours are
 * counted from the account's midnight, so that there are none of which a period of all accounts is made: it stays as it is asked for.
 * @param utcOffsetsMinutes of the accounts whose hours may be in the report
 * @throws 400 as `periodOf`, and if no hour of any of these accounts begins in the period
 */
export function accountHoursOf(
  query: Pick<PeriodQuery, 'from' | 'to'>,
  nowMs: number,
  utcOffsetsMinutes: readonly number[],
): Period {
  const asked = periodOf(query, nowMs);
  const begins = (utcOffsetMinutes: number): boolean => {
    const offsetMs = utcOffsetMinutes * MINUTE_MS;
    return firstFrom(asked.fromMs + offsetMs, HOUR_MS) < asked.toMs + offsetMs;
  };
  if (utcOffsetsMinutes.some(begins)) return asked;
  throw noneBegins('hour', asked);
}

/** What `wholePeriodOf` does, for a route's description. */
export const wholePeriodNote = (grain: keyof typeof grains): string =>
  `Of the period whole ${grain}s (UTC) are counted: those that begin in it, the present one among them, so that periods which meet never both count one. ` +
  '`period` says what was counted.';

/** What `accountHoursOf` does, for a route's description. */
export const accountHoursNote =
  'Of the period whole hours of the account are counted, which begin at its midnight (`utcOffsetMinutes`): those that begin in it, the present ' +
  'one among them, so that periods which meet never both count one.';

export const period = z.object({ from: isoTime, to: isoTime });
