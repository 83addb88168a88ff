// Judges of hashes, buckets and experiment assignment.
import { z } from 'zod';
import {
  assign,
  bucketRanges,
  chooseVariation,
  type ExperimentRules,
  equalWeights,
  inNamespace,
  namespaceBucket,
} from '../../domain/experiment-assignment.ts';
import { fnv1a32, growthBookHash, murmur3 } from '../../domain/hash.ts';
import { murmur3x64of128, murmur3x86of128 } from '../../domain/hash-128.ts';
import { type Check, compare, compareList, type GoldenCase, type Judges } from './check.ts';

const RANGE_TOLERANCE = { absolute: 1e-12 };

const hashInput = z.object({ seed: z.string(), value: z.string() });
const hashExpected = z.object({
  v1: z.number(),
  v2: z.number(),
  v3_unknown: z.null().optional(),
  fnv1a32_of_value: z.number().optional(),
});

function judgeHash({ id, input, expected }: GoldenCase, check: Check): void {
  const { seed, value } = hashInput.parse(input);
  const wanted = hashExpected.parse(expected);
  compare(check, `${id} v1`, growthBookHash(seed, value, 1), wanted.v1);
  compare(check, `${id} v2`, growthBookHash(seed, value, 2), wanted.v2);
  if (wanted.v3_unknown !== undefined)
    compare(check, `${id} v3`, growthBookHash(seed, value, 3), wanted.v3_unknown);
  if (wanted.fnv1a32_of_value !== undefined)
    compare(check, `${id} fnv1a32`, fnv1a32(value), wanted.fnv1a32_of_value);
}

const rangesInput = z.object({
  variations: z.int(),
  coverage: z.number(),
  weights: z.array(z.number()).nullable(),
});
const rangesExpected = z.object({
  ranges: z.array(z.tuple([z.number(), z.number()])),
  choose: z.array(z.tuple([z.number(), z.int()])),
});

function judgeRanges({ id, input, expected }: GoldenCase, check: Check): void {
  const { variations, coverage, weights } = rangesInput.parse(input);
  const wanted = rangesExpected.parse(expected);
  const ranges = bucketRanges(variations, coverage, weights);
  compareList(check, `${id} ranges`, ranges, wanted.ranges, RANGE_TOLERANCE);
  for (const [bucket, variation] of wanted.choose) {
    compare(check, `${id} choose ${bucket}`, chooseVariation(bucket, ranges), variation);
  }
}

const namespace = z.tuple([z.string(), z.number(), z.number()]);
const namespaceInput = z.object({ namespace });
const namespaceExpected = z.object({ members: z.array(z.tuple([z.string(), z.boolean(), z.number()])) });

function judgeNamespace({ id, input, expected }: GoldenCase, check: Check): void {
  const [name, from, to] = namespaceInput.parse(input).namespace;
  for (const [key, isMember, bucket] of namespaceExpected.parse(expected).members) {
    compare(check, `${id} ${key} is in`, inNamespace(key, { id: name, from, to }), isMember);
    compare(check, `${id} ${key} bucket`, namespaceBucket(key, name), bucket);
  }
}

const experimentInput = z.object({
  key: z.string(),
  variations: z.array(z.unknown()),
  hashVersion: z.union([z.literal(1), z.literal(2)]),
  coverage: z.number(),
  weights: z.array(z.number()).nullish(),
  seed: z.string().optional(),
  namespace: namespace.nullable(),
});
const experimentExpected = z.object({
  columns: z.tuple([
    z.literal('id'),
    z.literal('inExperiment'),
    z.literal('variationId'),
    z.literal('bucket'),
  ]),
  rows: z.array(z.tuple([z.string(), z.boolean(), z.int(), z.number().nullable()])),
});

function rulesOf(input: z.infer<typeof experimentInput>): ExperimentRules {
  const { variations, hashVersion, coverage, seed, namespace: slice } = input;
  const weights =
    input.weights?.length === variations.length ? input.weights : equalWeights(variations.length);
  return {
    status: 'running',
    variations: weights.map((weight, index) => ({ key: `${index}`, weight })),
    hashVersion,
    coverage,
    seed,
    namespace: slice === null ? undefined : { id: slice[0], from: slice[1], to: slice[2] },
    targeting: [],
  };
}

function judgeExperiment({ id, input, expected }: GoldenCase, check: Check): void {
  const given = experimentInput.parse(input);
  const experiment = { id: given.key, document: rulesOf(given) };
  for (const [key, isIn, variation, bucket] of experimentExpected.parse(expected).rows) {
    const own = assign(experiment, { key, attributes: {} });
    compareList(
      check,
      `${id} ${key}`,
      [own.inExperiment, own.variationIndex, own.bucket],
      [isIn, variation, bucket],
    );
  }
}

const murmurInput = z.object({ string: z.string(), seed: z.number() });
const murmurExpected = z.object({
  x86_32_unsigned: z.number(),
  x86_32_signed: z.number().optional(),
  x64_128_hex_le_bytes: z.string().optional(),
  x86_128_hex_le_bytes: z.string().optional(),
  bucket_10000: z.number().optional(),
});

function judgeMurmur({ id, input, expected }: GoldenCase, check: Check): void {
  const { string, seed } = murmurInput.parse(input);
  const hash = murmur3(string, seed);
  const own = {
    x86_32_unsigned: hash,
    x86_32_signed: hash | 0,
    x64_128_hex_le_bytes: murmur3x64of128(string, seed),
    x86_128_hex_le_bytes: murmur3x86of128(string, seed),
    bucket_10000: hash % 10_000,
  };
  for (const [name, value] of Object.entries(murmurExpected.parse(expected))) {
    compare(check, `${id} ${name}`, own[name as keyof typeof own], value);
  }
}

export const hashingJudges: Judges = {
  gb_hash: judgeHash,
  bucket_ranges: judgeRanges,
  namespace: judgeNamespace,
  gb_experiment: judgeExperiment,
  murmur3: judgeMurmur,
};
