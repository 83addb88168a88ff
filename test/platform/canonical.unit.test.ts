// Canonical JSON: equal documents have equal bytes, and what has no single form is refused.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalHash, canonicalJson, compareUtf8 } from '../../platform/canonical.ts';

describe('canonical JSON', () => {
  test('sorts keys by their UTF-8 bytes, also where UTF-16 orders otherwise and where keys look like integers', () => {
    const document = {
      b: 1,
      '10': 2,
      '9': 3,
      '\u{1F600}': 4,
      '￿': 5,
      a: { z: [1, { y: null, x: true }], é: '"\n' },
    };
    expect(canonicalJson(document)).toBe(
      '{"10":2,"9":3,"a":{"z":[1,{"x":true,"y":null}],"é":"\\"\\n"},"b":1,"￿":5,"\u{1F600}":4}',
    );
  });

  test.each([
    ['NaN', { a: [Number.NaN] }, '$.a[0]'],
    ['infinity', { a: Number.POSITIVE_INFINITY }, '$.a'],
    ['-0', [-0], '$[0]'],
    ['a date', { at: new Date(0) }, '$.at'],
    ['undefined in an array', [undefined], '$[0]'],
    ['a big integer', 1n, '$'],
  ])('refuses %s and says where', (_, value, path) => {
    expect(() => canonicalJson(value)).toThrow(expect.objectContaining({ code: 'NOT_CANONICAL' }));
    expect(() => canonicalJson(value)).toThrow(path);
  });

  test('a cycle ends with an error, not with the stack', () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    expect(() => canonicalJson(cycle)).toThrow(expect.objectContaining({ code: 'NOT_CANONICAL' }));
  });

  test('is JSON of the same value, and the order of keys changes nothing', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const positive = JSON.parse(JSON.stringify(value)) as unknown;
        const text = canonicalJson(positive);
        expect(JSON.parse(text)).toEqual(positive);
        expect(canonicalJson(reversed(positive))).toBe(text);
        expect(canonicalHash(reversed(positive))).toBe(canonicalHash(positive));
      }),
    );
  });

  test('the hash is that of a known vector', () => {
    expect(canonicalHash({})).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
  });

  test('compares strings as their bytes compare', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (left, right) => {
        expect(compareUtf8(left, right)).toBe(Buffer.compare(Buffer.from(left), Buffer.from(right)));
      }),
    );
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, member] of Object.entries(value).reverse()) copy[name] = reversed(member);
  return copy;
}
