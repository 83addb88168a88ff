// Vectors of others (Kafka's own test, smhasher's published values) and properties; GrowthBook's and more
// MurmurHash3 vectors are in the golden file.
import { murmur2 as clientMurmur2 } from '@platformatic/kafka';
import { assert, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fnv1a32, growthBookHash, idHash53, murmur2, murmur3, partitionOf } from '../../domain/hash.ts';

const anyText = string({ unit: 'grapheme', maxLength: 60 });

describe('murmur2', () => {
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])("is Kafka's for %s (UtilsTest.testMurmur2)", (text, signed) => {
    expect(murmur2(text) | 0).toBe(signed);
  });

  it('is what a Kafka client computes, for any text', () => {
    assert(
      property(anyText, (text) => {
        expect(murmur2(text) | 0).toBe(clientMurmur2(text) | 0);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('partitionOf', () => {
  it.each([
    ['foobar', 12, (-790332482 & 0x7fffffff) % 12],
    ['21', 7, (-973932308 & 0x7fffffff) % 7],
  ])('clears the sign bit as toPositive does: %s', (key, partitions, partition) => {
    expect(partitionOf(key, partitions)).toBe(partition);
  });

  it('spreads keys evenly', () => {
    const counts = new Array<number>(12).fill(0);
    for (let index = 0; index < 60_000; index += 1) counts[partitionOf(`u:user-${index}`, 12)]! += 1;
    expect(Math.min(...counts)).toBeGreaterThan(4_700);
    expect(Math.max(...counts)).toBeLessThan(5_300);
  });
});

describe('murmur3', () => {
  it.each([
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['', 0xffffffff, 0x81f16f39],
    ['aaaa', 0x9747b28c, 0x5a97808a],
    ['abc', 0, 0xb3dd93fa],
    ['Hello, world!', 0x9747b28c, 0x24884cba],
    ['ππππππππ', 0x9747b28c, 0xd58063c1],
  ])('of %j under seed %i', (text, seed, hash) => {
    expect(murmur3(text, seed)).toBe(hash);
  });

  it('takes a lone surrogate for U+FFFD, as every UTF-8 encoder does', () => {
    expect(murmur3('a\ud800b')).toBe(murmur3('a\ufffdb'));
    expect(murmur2('a\ud800b')).toBe(murmur2('a\ufffdb'));
  });
});

describe('idHash53', () => {
  it('is a safe integer that uses its 53 bits, and tells ids apart', () => {
    const seen = new Set<number>();
    let highest = 0;
    for (let index = 0; index < 200_000; index += 1) {
      const hash = idHash53(`message-${index}`);
      seen.add(hash);
      highest = Math.max(highest, hash);
    }
    expect(seen.size).toBe(200_000);
    expect(highest).toBeGreaterThan(2 ** 52.9);
    expect(highest).toBeLessThanOrEqual(Number.MAX_SAFE_INTEGER);
  });

  it('is a safe integer for any text', () => {
    assert(
      property(string({ unit: 'binary' }), (text) => {
        expect(Number.isSafeInteger(idHash53(text)) && idHash53(text) >= 0).toBe(true);
      }),
    );
  });
});

describe('growthBookHash', () => {
  it('hashes UTF-16 code units, not bytes', () => {
    expect(fnv1a32('é')).toBe(Math.imul(0x811c9dc5 ^ 0xe9, 0x01000193) >>> 0);
    expect(growthBookHash('', 'a', 1)).toBe(0.22);
  });

  it('knows no version but 1 and 2', () => {
    expect(growthBookHash('seed', 'value', 3)).toBeNull();
    expect(growthBookHash('seed', 'value', 0)).toBeNull();
  });
});
