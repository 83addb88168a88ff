// What a golden case is, and how answers are held against it: every comparison is counted, none is silent.
import { z } from 'zod';

export const goldenFile = z.object({
  cases: z
    .array(z.object({ id: z.string(), kind: z.string(), input: z.unknown(), expected: z.unknown() }))
    .min(1),
});
export type GoldenCase = z.infer<typeof goldenFile>['cases'][number];

/** Compares one case with what `domain/` answers; throws where the case does not have its kind's form. */
type Judge = (golden: GoldenCase, check: Check) => void;

/** The judges of some kinds; a later kind is a judge more in a file of its own. */
export type Judges = Readonly<Record<string, Judge>>;

/** How far apart two numbers may be: either suffices. */
export interface Tolerance {
  readonly absolute?: number;
  readonly relative?: number;
}

const FAILURES_SHOWN = 5;

/** The score of one kind in one file. */
export interface Check {
  compared: number;
  failed: number;
  /** The largest distance of any two numbers compared, failed or not. */
  largestGap: number;
  /** The first few failures, in words. */
  readonly failures: string[];
  /** What was left out and why. */
  readonly notes: Set<string>;
}

export function newCheck(): Check {
  return { compared: 0, failed: 0, largestGap: 0, failures: [], notes: new Set() };
}

export function fail(check: Check, where: string, what: string): void {
  check.failed += 1;
  if (check.failures.length < FAILURES_SHOWN) check.failures.push(`${where}: ${what}`);
}

/** Golden files write NaN as null and infinities as words. */
function numberOf(value: unknown): unknown {
  if (value === 'Infinity') return Number.POSITIVE_INFINITY;
  if (value === '-Infinity') return Number.NEGATIVE_INFINITY;
  return typeof value === 'number' && Number.isNaN(value) ? null : value;
}

function isWithin(gap: number, expected: number, { absolute = 0, relative = 0 }: Tolerance): boolean {
  return gap <= absolute || gap <= relative * Math.abs(expected);
}

/** Holds one answer against what is expected: numbers within the tolerance (none: equal), all else equal. */
export function compare(
  check: Check,
  where: string,
  actual: unknown,
  expected: unknown,
  tolerance: Tolerance = {},
): void {
  check.compared += 1;
  const left = numberOf(actual);
  const right = numberOf(expected);
  if (Object.is(left, right)) return;
  if (typeof left === 'number' && typeof right === 'number') {
    const gap = Math.abs(left - right);
    check.largestGap = Math.max(check.largestGap, gap);
    if (isWithin(gap, right, tolerance)) return;
  }
  fail(check, where, `expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

/** Holds a list against a list: its length, then each entry. */
export function compareList(
  check: Check,
  where: string,
  actual: readonly unknown[],
  expected: readonly unknown[],
  tolerance: Tolerance = {},
): void {
  compare(check, `${where}.length`, actual.length, expected.length);
  expected.forEach((value, index) => {
    const own = actual[index];
    if (Array.isArray(value) && Array.isArray(own))
      compareList(check, `${where}[${index}]`, own, value, tolerance);
    else compare(check, `${where}[${index}]`, own, value, tolerance);
  });
}
