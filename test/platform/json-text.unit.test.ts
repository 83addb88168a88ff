import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { isNestedDeeper, jsonText } from '../../platform/json-text.ts';

/** Deeper than `JSON.stringify` can go. */
const DEEP = 100_000;

it('is what JSON.stringify says, also of what lies deep', () => {
  const nested = (value: unknown): unknown => {
    let deep = value;
    for (let level = 0; level < DEEP; level += 1) deep = [deep];
    return deep;
  };
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(jsonText(value)).toBe(JSON.stringify(value));
      expect(jsonText(nested(value))).toBe(`${'['.repeat(DEEP)}${JSON.stringify(value)}${']'.repeat(DEEP)}`);
    }),
    { numRuns: 30 },
  );
});

it('leaves out what JSON leaves out, and keeps an inner name of objects', () => {
  let deep: unknown = JSON.parse('{"__proto__":{"a":1}}');
  for (let level = 0; level < DEEP; level += 1) deep = { deep, none: undefined };
  expect(jsonText(deep)).toBe(`${'{"deep":'.repeat(DEEP)}{"__proto__":{"a":1}}${'}'.repeat(DEEP)}`);
});

/** How deep a value is nested, counted in it. */
function levelsOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(levelsOf));
}

it('counts levels by the text as they are in the value, whatever brackets and quotes its texts hold', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[[\]{}"\\]*$/));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(text, fc.array(tie('tree')), fc.dictionary(text, tie('tree'))),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      const json = JSON.stringify(value).padEnd(100);
      const levels = levelsOf(value);
      expect([isNestedDeeper(json, levels), levels === 0 || isNestedDeeper(json, levels - 1)]).toEqual([
        false,
        true,
      ]);
    }),
  );
});
