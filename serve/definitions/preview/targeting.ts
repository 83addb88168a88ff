// Whom segments and experiments would have meant among the buyers of the last days.

import { assign, holds } from '../../../domain/experiment-assignment.ts';
import type { ExperimentDefinition, SegmentDefinition } from '../../../domain/experiment-definition.ts';
import type { Measure, Past } from './past.ts';

const known = ['country', 'industry', 'channel', 'level', 'stage'] as const;
type BuyerRow = { readonly key: string } & Readonly<Record<(typeof known)[number], string>>;
type Attributes = Readonly<Record<string, string>>;

/** Conditions on what only the caller's context says, by a segment or not: nobody of the past has it. */
export function unknownAttributes(
  conditions: readonly ({ readonly attribute: string } | { readonly segment: string })[],
  past: Past,
): string[] {
  const segments = past.list<SegmentDefinition>('segment');
  const asked = conditions.flatMap((condition) =>
    'attribute' in condition
      ? [condition]
      : (segments.find(({ id }) => id === condition.segment)?.document.conditions ?? []),
  );
  const names = new Set(asked.map(({ attribute }) => attribute));
  return [...names].filter((name) => !(known as readonly string[]).includes(name));
}

async function buyersOf(past: Past): Promise<{ hashKey: string; attributes: Attributes }[]> {
  const rows = await past.events<BuyerRow>('preview-buyers', { oneIn: past.oneIn });
  return rows.map((row) => ({
    hashKey: row.key.slice(2),
    attributes: Object.fromEntries(known.filter((name) => row[name] !== '').map((name) => [name, row[name]])),
  }));
}

/** How many buyers of the period match, of how many. */
export async function measureSegment(segment: SegmentDefinition, past: Past): Promise<Measure[]> {
  const buyers = await buyersOf(past);
  const matching = buyers.filter(({ attributes }) =>
    segment.conditions.every((condition) => holds(condition, attributes)),
  );
  return [
    { group: 'buyers', name: 'all', value: buyers.length * past.oneIn },
    { group: 'buyers', name: 'in the segment', value: matching.length * past.oneIn },
  ];
}

/** Which variant the buyers of the period would get by hash, and why others would not be in it. */
export async function measureExperiment(
  experiment: ExperimentDefinition,
  past: Past,
  id: string,
): Promise<Measure[]> {
  const segments = new Map(
    past.list<SegmentDefinition>('segment').map((segment) => [segment.id, segment.document.conditions]),
  );
  const variants = new Map(experiment.variations.map(({ key }) => [key, 0]));
  const outside = new Map<string, number>();
  let inside = 0;
  const buyers = await buyersOf(past);
  for (const { hashKey, attributes } of buyers) {
    const subject = { key: hashKey, attributes };
    const { inExperiment, variationIndex, reason } = assign({ id, document: experiment }, subject, (name) =>
      segments.get(name),
    );
    const [counts, name] = inExperiment
      ? [variants, experiment.variations[variationIndex]!.key]
      : [outside, reason];
    counts.set(name, (counts.get(name) ?? 0) + past.oneIn);
    if (inExperiment) inside += past.oneIn;
  }
  const measures = (group: string, counts: ReadonlyMap<string, number>): Measure[] =>
    [...counts].map(([name, value]) => ({ group, name, value }));
  return [
    { group: 'buyers', name: 'all', value: buyers.length * past.oneIn },
    { group: 'buyers', name: 'in the experiment', value: inside },
    ...measures('variants', variants),
    ...measures('not in it', outside),
  ];
}
