// Which variation of an experiment somebody gets: GrowthBook's rules, so that its SDKs and this agree.
// Deterministic: the same experiment, key and attributes always give the same answer.
import { countryMeant } from './attributes.ts';
import { growthBookHash } from './hash.ts';

/** From (inclusive) and to (exclusive) in [0, 1]. */
export type BucketRange = readonly [from: number, to: number];

/** A slice of the population shared by experiments that exclude each other. */
export interface Namespace {
  readonly id: string;
  readonly from: number;
  readonly to: number;
}

export interface TargetingCondition {
  readonly attribute: string;
  readonly operator: 'equals' | 'notEquals' | 'in' | 'notIn' | 'greaterThan' | 'lessThan' | 'exists';
  readonly value?: unknown;
}

/** Targets those in a segment, or with `in: false` those outside it. */
export interface SegmentTargeting {
  readonly segment: string;
  readonly in: boolean;
}

/** The conditions of a segment in force; undefined if there is none of that id, which nobody is in. */
export type SegmentLookup = (id: string) => readonly TargetingCondition[] | undefined;

/** What an experiment's document must say to be assigned; weights that do not sum to about 1 count as equal. */
export interface ExperimentRules {
  readonly status: 'draft' | 'running' | 'stopped';
  readonly variations: readonly { readonly key: string; readonly weight: number }[];
  /** The seed of the hash; the experiment's id if absent. */
  readonly seed?: string | undefined;
  readonly hashVersion: 1 | 2;
  readonly coverage: number;
  readonly namespace?: Namespace | undefined;
  /** All must hold. */
  readonly targeting: readonly (TargetingCondition | SegmentTargeting)[];
  /** The key of the variation that everybody who would take part gets, also once stopped; nobody is in the experiment by it. */
  readonly forced?: string | undefined;
  /** The key of the variation of those who do not take part; the first if absent. */
  readonly fallback?: string | undefined;
}

/** An experiment in force, under its id. */
export interface Experiment {
  readonly id: string;
  readonly document: ExperimentRules;
}

/** Who is assigned: the key that is hashed, and what targeting may ask for. */
export interface Subject {
  readonly key: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** True for who is in another experiment of the namespace, one that excludes this one: outside it, wherever the hash says. */
  readonly excluded?: boolean;
}

type AssignmentReason =
  | 'split'
  | 'forced'
  | 'noKey'
  | 'draft'
  | 'stopped'
  | 'outsideNamespace'
  | 'notTargeted'
  | 'notCovered';

export interface Assignment {
  readonly inExperiment: boolean;
  /** Into `variations`; for those who are not in the experiment the forced one or the fallback's. */
  readonly variationIndex: number;
  /** The hash in [0, 1) that decided; null where it was not what decided. */
  readonly bucket: number | null;
  readonly reason: AssignmentReason;
}

/** Equal shares; none for a count below 1. */
export function equalWeights(count: number): number[] {
  return count < 1 ? [] : new Array<number>(count).fill(1 / count);
}

/** Each variation's share of [0, 1), of which its first part, `coverage`, takes part. */
export function bucketRanges(
  count: number,
  coverage: number,
  weights: readonly number[] | null,
): BucketRange[] {
  const covered = Math.min(1, Math.max(0, coverage));
  let shares = weights !== null && weights.length === count ? weights : equalWeights(count);
  const total = shares.reduce((sum, share) => sum + share, 0);
  if (total < 0.99 || total > 1.01) shares = equalWeights(count);
  let from = 0;
  return shares.map((share) => {
    const range: BucketRange = [from, from + covered * share];
    from += share;
    return range;
  });
}

/** The index of the range that holds `bucket`, or -1. */
export function chooseVariation(bucket: number, ranges: readonly BucketRange[]): number {
  return ranges.findIndex(([from, to]) => bucket >= from && bucket < to);
}

/** Where a key stands in a namespace, in [0, 1). Namespaces hash by version 1, whatever the experiment's. */
export function namespaceBucket(key: string, namespaceId: string): number {
  return growthBookHash(`__${namespaceId}`, key, 1)!;
}

export function inNamespace(key: string, { id, from, to }: Namespace): boolean {
  const bucket = namespaceBucket(key, id);
  return bucket >= from && bucket < to;
}

/** Numbers compare with numbers, texts with texts (ISO times, versions of one width); all else compares as neither. */
function isAbove(left: unknown, right: unknown): boolean {
  if (typeof left === 'number' && typeof right === 'number') return left > right;
  if (typeof left === 'string' && typeof right === 'string') return left > right;
  return false;
}

/** A country is asked for and told by either name: what was defined before GB stood for UK goes on to mean the same. */
function comparable(attribute: string, value: unknown): unknown {
  if (attribute !== 'country') return value;
  if (Array.isArray(value)) return value.map((each) => comparable(attribute, each));
  return typeof value === 'string' ? countryMeant(value) : value;
}

/** Whether one condition holds; an absent attribute equals nothing and is in no list. `exists: false` asks for absence. */
export function holds(condition: TargetingCondition, attributes: Readonly<Record<string, unknown>>): boolean {
  const { attribute, operator } = condition;
  const value = comparable(attribute, condition.value);
  const given = Object.hasOwn(attributes, attribute) ? (attributes[attribute] ?? undefined) : undefined;
  const own = comparable(attribute, given);
  switch (operator) {
    case 'equals':
      return own !== undefined && own === value;
    case 'notEquals':
      return own === undefined || own !== value;
    case 'in':
      return own !== undefined && Array.isArray(value) && value.includes(own);
    case 'notIn':
      return own === undefined || !(Array.isArray(value) && value.includes(own));
    case 'greaterThan':
      return isAbove(own, value);
    case 'lessThan':
      return isAbove(value, own);
    case 'exists':
      return (own !== undefined) === (value !== false);
  }
}

/** Whether a subject with these attributes is meant. */
export function isTargeted(
  targeting: ExperimentRules['targeting'],
  attributes: Readonly<Record<string, unknown>>,
  segmentOf: SegmentLookup,
): boolean {
  return targeting.every((condition) => {
    if (!('segment' in condition)) return holds(condition, attributes);
    const conditions = segmentOf(condition.segment);
    return (conditions?.every((each) => holds(each, attributes)) ?? false) === condition.in;
  });
}

function indexOfKey(rules: ExperimentRules, key: string | undefined): number {
  return rules.variations.findIndex((variation) => variation.key === key);
}

function notIn(rules: ExperimentRules, reason: AssignmentReason): Assignment {
  return {
    inExperiment: false,
    variationIndex: Math.max(0, indexOfKey(rules, rules.fallback)),
    bucket: null,
    reason,
  };
}

/** Decides in GrowthBook's order: state, key, namespace, targeting, bucket, forced variation, end. */
export function assign(
  { id, document: rules }: Experiment,
  { key, attributes, excluded = false }: Subject,
  segmentOf: SegmentLookup = () => undefined,
): Assignment {
  if (rules.status === 'draft') return notIn(rules, 'draft');
  if (key === '') return notIn(rules, 'noKey');
  if (rules.namespace !== undefined && (excluded || !inNamespace(key, rules.namespace)))
    return notIn(rules, 'outsideNamespace');
  if (!isTargeted(rules.targeting, attributes, segmentOf)) return notIn(rules, 'notTargeted');
  const bucket = growthBookHash(rules.seed || id, key, rules.hashVersion)!;
  const weights = rules.variations.map((variation) => variation.weight);
  const variationIndex = chooseVariation(bucket, bucketRanges(weights.length, rules.coverage, weights));
  if (variationIndex < 0) return notIn(rules, 'notCovered');
  const forcedIndex = rules.forced === undefined ? -1 : indexOfKey(rules, rules.forced);
  // Not in it: an exposure would stay, and who was shown a variant for a trial would have it for good.
  if (forcedIndex >= 0)
    return { inExperiment: false, variationIndex: forcedIndex, bucket: null, reason: 'forced' };
  if (rules.status === 'stopped') return notIn(rules, 'stopped');
  return { inExperiment: true, variationIndex, bucket, reason: 'split' };
}
