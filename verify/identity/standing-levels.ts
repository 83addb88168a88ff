// Levels that stand side by side, each with the parts that it needs.
import type { StandingLevel } from './linked-person.ts';

/** Of all parts, those that are left when each in turn is left out without which the level is still reached. */
export function needed(
  parts: readonly number[],
  reaches: (parts: readonly number[]) => boolean,
): readonly number[] {
  let left = [...parts];
  for (const part of parts) {
    const without = left.filter((each) => each !== part);
    if (reaches(without)) left = without;
  }
  return left;
}

/** One level more: one that is lower and needs as much as another says nothing beside it. */
export function withLevel(
  standing: readonly StandingLevel[],
  added: StandingLevel,
): readonly StandingLevel[] {
  if (standing.some((each) => covers(each, added))) return standing;
  return [...standing.filter((each) => !covers(added, each)), added];
}

function covers(a: StandingLevel, b: StandingLevel): boolean {
  return a.level >= b.level && a.parts.every((part) => b.parts.includes(part));
}
