// What outboxes wrote into `events`: every partition's log holds what the records of all others must have sent to it, in
// order and nothing else. So what each partition takes as given was worked out at its source.
import type { DerivedRecord, MergeBase, MergeRecord } from '../../domain/identity-record.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { asNamedNow } from '../attributes.ts';
import type { Comparison } from '../compare.ts';
import { type EventsScope, recordsBehind, type Scope } from '../scope.ts';
import type { SentRecord } from './sent.ts';

const kinds: Record<DerivedRecord['kind'], string> = {
  link: 'link records',
  merge: 'merge records',
  forward: 'forward records',
  linkEnded: 'linkEnded records',
  linkKept: 'linkKept records',
  member: 'member records',
  past: 'past records',
};

/** Records of one source offset for one partition. */
interface Batch {
  readonly expected: SentRecord[];
  readonly actual: DerivedRecord[];
}

export function compareSent(scope: Scope): void {
  scope.comparison.expectKind(...Object.values(kinds), 'received positions');
  for (const target of scope.events) {
    for (const source of scope.events) comparePair(scope, source, target);
    compareReceived(scope, target);
  }
}

function comparePair(scope: Scope, source: EventsScope, target: EventsScope): void {
  const from = source.walk.partition;
  const to = target.walk.partition;
  const taken = [...target.people.received.taken.values()].filter(({ origin }) => origin.partition === from);
  const readTo = source.stored.head?.offset ?? 0;
  const received = taken.filter(({ origin }) => origin.offset < readTo);
  for (const { kind, origin } of taken)
    if (origin.offset >= readTo)
      scope.comparison.leaveOut(kinds[kind], 'of what their source did behind what was read');
  const lastOffset = received.at(-1)?.origin.offset ?? -1;
  const batches = new Map<number, Batch>();
  const batchAt = (offset: number): Batch => {
    const known = batches.get(offset) ?? { expected: [], actual: [] };
    batches.set(offset, known);
    return known;
  };
  for (const { offset, record } of source.people.sent) {
    // A live partition has gone on since it was read: what it has taken since is not known.
    if (buyerPartition(record.key) !== to) continue;
    if (offset > lastOffset && recordsBehind(scope, target.stored) > 0)
      scope.comparison.leaveOut(kinds[record.kind], 'that may stand behind what was read');
    else batchAt(offset).expected.push(record);
  }
  for (const record of received) batchAt(record.origin.offset).actual.push(record);
  for (const [offset, batch] of batches)
    compareBatch(scope.comparison, `events ${from} offset ${offset} to ${to}`, batch, source, offset);
}

function compareBatch(
  comparison: Comparison,
  where: string,
  { expected, actual }: Batch,
  source: EventsScope,
  offset: number,
): void {
  for (let index = 0; index < Math.max(expected.length, actual.length); index += 1) {
    const wanted = expected[index];
    const found = actual[index];
    const place = `${where} number ${index}`;
    if (wanted === undefined) comparison.differ(kinds[found!.kind], place, 'nothing more', found);
    else if (found === undefined) comparison.fields(kinds[wanted.kind], place, wanted, undefined);
    else if (wanted.kind === 'merge' && found.kind === 'merge')
      compareMerge(comparison, place, wanted, found, source, offset);
    else comparison.fields(kinds[wanted.kind], place, wanted, asToldNow(found));
  }
}

/** Of the others only a member's attributes name a country. */
function asToldNow(found: DerivedRecord): Readonly<Record<string, unknown>> {
  if (found.kind !== 'member' || found.attributes?.country !== 'UK') return { ...found };
  return { ...found, attributes: { ...found.attributes, country: 'GB' } };
}

type SentMerge = Omit<MergeRecord, 'origin'>;

function compareMerge(
  comparison: Comparison,
  where: string,
  { base, ...wanted }: SentMerge,
  { base: found, ...rest }: MergeRecord,
  source: EventsScope,
  offset: number,
): void {
  comparison.fields(kinds.merge, where, wanted, rest);
  if (base === undefined || found === undefined) {
    comparison.equal(kinds.merge, `${where} has a base`, base !== undefined, found !== undefined);
    return;
  }
  // Whether a cap cut something is not worked out; sums stand at references of the stream's own.
  const { engagement, overflow: _overflow, ...others } = base;
  const inForce = new Set(
    source.walk.history.at(offset).funnels.map(({ id, revision }) => `${id}:${revision}`),
  );
  const counted = found.counted.filter(({ funnel, revision }) => inForce.has(`${funnel}:${revision}`));
  const country = asNamedNow(found.country);
  comparison.fields(kinds.merge, `${where} base`, others, { ...found, country, counted });
  compareSums(comparison, where, engagement, found.engagement);
}

function compareSums(
  comparison: Comparison,
  where: string,
  expected: MergeBase['engagement'],
  actual: MergeBase['engagement'],
): void {
  const halfLives = (sums: MergeBase['engagement']): number[] =>
    sums.map(({ halfLifeMs }) => halfLifeMs).sort((a, b) => a - b);
  comparison.equal(kinds.merge, `${where} half-lives`, halfLives(expected), halfLives(actual));
  for (const { halfLifeMs, referenceMs, sums } of expected) {
    const found = actual.find((each) => each.halfLifeMs === halfLifeMs);
    const names = new Set([...sums, ...(found?.sums ?? [])].map(({ behaviour }) => behaviour));
    for (const behaviour of names) {
      const sum = found?.sums.find((each) => each.behaviour === behaviour)?.sum ?? Number.NaN;
      const decayed = sum * 2 ** (((found?.referenceMs ?? 0) - referenceMs) / halfLifeMs);
      const wanted = sums.find((each) => each.behaviour === behaviour)?.sum ?? 0;
      comparison.near(kinds.merge, `${where} half-life ${halfLifeMs} ${behaviour}`, wanted, decayed);
    }
  }
}

/** The highest position that the partition says it has taken from each other. */
function compareReceived({ comparison }: Scope, { walk, people, stored }: EventsScope): void {
  const { positions } = people.received;
  for (const partition of new Set([...positions.keys(), ...stored.received.keys()])) {
    const where = `events ${walk.partition} from ${partition}`;
    const expected = positions.get(partition) ?? 'none';
    comparison.equal('received positions', where, expected, stored.received.get(partition) ?? 'missing');
  }
}
