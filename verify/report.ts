// The oracle's words: how much was compared of each kind, every difference, and what was too little.
import type { Verdict } from './main.ts';

const VALUE_CHARACTERS_MAX = 600;

export function isClean({
  differenceCount,
  shortfalls,
}: Pick<Verdict, 'differenceCount' | 'shortfalls'>): boolean {
  return differenceCount === 0 && shortfalls.length === 0;
}

/** Lines for people. `shown` differences of each kind are printed in full. */
export function describe(verdict: Verdict, shown: number): string[] {
  const lines = [`namespace ${verdict.namespace}`, ''];
  for (const { kind, compared, differences } of verdict.kinds) {
    const result = differences === 0 ? '' : `   ${differences} DIFFERENT`;
    lines.push(`${String(compared).padStart(10)}  ${kind}${result}`);
  }
  const byKind = new Map<string, number>();
  for (const { kind, where, expected, actual } of verdict.differences) {
    const printed = byKind.get(kind) ?? 0;
    byKind.set(kind, printed + 1);
    if (printed >= shown) continue;
    lines.push('', `${kind}: ${where}`, `  by the log  ${text(expected)}`, `  stored      ${text(actual)}`);
  }
  for (const { kind, differences } of verdict.kinds) {
    if (differences > shown)
      lines.push('', `${kind}: ${differences - shown} more (--show N, or --json for them)`);
  }
  for (const { kind, compared, atLeast } of verdict.shortfalls) {
    lines.push('', `${kind}: compared ${compared}, there must be at least ${atLeast}`);
  }
  for (const { kind, count, why } of verdict.leftOut) lines.push('', `${kind}: left out ${count} ${why}`);
  if (verdict.restless.length > 0) {
    const so = isClean(verdict)
      ? 'compared as it stood then, and nothing behind that.'
      : 'so that differences may be of what was on its way.';
    lines.push(
      '',
      `${verdict.restless.join(', ')}: never at rest while it was read, ${so}`,
      'Try again while less comes, or with a longer --wait.',
    );
  }
  const seconds = (verdict.elapsedMs / 1_000).toFixed(1);
  const result = isClean(verdict) ? 'no difference' : `${verdict.differenceCount} differences`;
  return [...lines, '', `${result}, ${seconds} s`];
}

function text(value: unknown): string {
  const whole = typeof value === 'string' ? value : JSON.stringify(value);
  return whole.length <= VALUE_CHARACTERS_MAX ? whole : `${whole.slice(0, VALUE_CHARACTERS_MAX)}…`;
}
