// What a funnel would have made of a buyer, had it been defined from the start: the buyer's records are gone through again,
// in the order in which its owner had them, by the same rules.
import { type Buyer, type BuyerFunnel, newBuyer } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import { historiesOf, partOf } from './buyer-parts.ts';
import type { FunnelDefinition, InForce, Settings } from './definition.ts';
import type { Effect } from './effect.ts';
import { reach, reachForeign } from './funnel-foreign.ts';
import {
  addForwards,
  type Forward,
  forwardsOf,
  noForwards,
  takeBefore,
  takeOf,
} from './funnel-past-forwards.ts';
import type { KeyPast, PastChange, PastRow } from './funnel-past-rows.ts';
import { settle, trimBehaviours } from './funnel-progress.ts';
import { learnAttributes, learnBehaviour } from './history.ts';
import type { BackfillRecord, MergeRecord } from './identity-record.ts';
import { arrange, type Definitions, type KeptDefinition } from './in-force.ts';
import { endPart, mergeHistory } from './linked-history.ts';
import { unsettledFrom } from './time-floors.ts';
import { mergeRecords } from './visitor-history.ts';

/** A key on its way through its past. */
export interface PastRun {
  state: Buyer;
  nowMs: number;
  /** A linked visitor's steps are its user's. */
  silent: boolean;
  link: string;
  spoken: number;
  readonly counts: BackfillRecord['counts'];
  /** What a visitor's links would have handed over. */
  readonly merges: Map<string, readonly Omit<MergeRecord, 'origin'>[]>;
}

/** Definitions in which there is but this funnel. */
export function definitionsFor(funnel: InForce<FunnelDefinition>, settings: Settings): Definitions {
  const kept = [
    { type: 'settings', id: 'default', revision: 1, hash: '', document: settings, epoch: 1, sinceMs: 0 },
    { type: 'funnel', ...funnel, epoch: 1, sinceMs: 0 },
  ];
  return arrange(kept as unknown as KeptDefinition[]);
}

export function newRun(key: string): PastRun {
  return {
    state: newBuyer(key),
    nowMs: 0,
    silent: false,
    link: '',
    spoken: 0,
    counts: [],
    merges: new Map(),
  };
}

function contextOf(run: PastRun, offset: number, definitions: Definitions): BuyerContext {
  return { nowMs: run.nowMs, partition: 0, offset, appendMs: 0, definitions };
}

function hear(run: PastRun, effects: readonly Effect[]): void {
  if (run.silent) return;
  for (const effect of effects) {
    if (effect.kind !== 'count') continue;
    run.counts.push([effect.column, effect.timeMs, effect.cell]);
  }
}

/** Applies a record; `link` names the one that it came by, '' if it is the key's own. */
function applyRow(run: PastRun, row: PastRow, link: string, definitions: Definitions): void {
  const { state } = run;
  const { behaviour, timeMs, messageId } = row;
  const part = link === '' ? state.parts[0] : partOf(state, link);
  const histories = historiesOf(state, part);
  const said = Object.entries({ country: row.country, industry: row.industry, channel: row.channel });
  const attributes = Object.fromEntries(said.filter(([, value]) => value !== ''));
  for (const history of histories) learnAttributes(history, attributes, { timestamp: timeMs, messageId });
  if (behaviour === '') return;
  for (const history of histories) learnBehaviour(history, behaviour, timeMs, [], run.nowMs);
  const effects: Effect[] = [];
  settle(state, run.nowMs, definitions, effects);
  const { epoch } = definitions;
  const remembered = { timeMs, behaviour, epoch, part: part?.number ?? 0 };
  if (link === '') reach(state, remembered, definitions, effects);
  else reachForeign(state, remembered, run.nowMs, definitions, effects);
  trimBehaviours(state, run.nowMs, definitions, effects);
  hear(run, effects);
}

function applyOwn(run: PastRun, row: PastRow, definitions: Definitions): void {
  run.nowMs = Math.max(run.nowMs, row.timeMs);
  applyRow(run, row, '', definitions);
}

function countedIn({ funnels }: Buyer): number {
  return funnels[0]?.counted ?? 0;
}

/** A visitor through its records and links, as `domain/visitor-link.ts` has them. */
export function runVisitor(past: KeyPast, definitions: Definitions): PastRun {
  const run = newRun(past.key);
  const changes = [...past.changes];
  for (const row of past.rows) {
    while (changes[0] !== undefined && changes[0].offset <= row.offset)
      changeLink(run, changes.shift()!, definitions);
    applyOwn(run, row, definitions);
  }
  for (const change of changes) changeLink(run, change, definitions);
  if (!run.silent) run.spoken = countedIn(run.state);
  return run;
}

function changeLink(run: PastRun, change: PastChange, definitions: Definitions): void {
  run.nowMs = Math.max(run.nowMs, change.timeMs);
  const effects: Effect[] = [];
  settle(run.state, run.nowMs, definitions, effects);
  hear(run, effects);
  const { link: id, user, offset, fromOffset } = change;
  switch (change.change) {
    case 'linked': {
      if (!run.silent) run.spoken = countedIn(run.state);
      const { mergeChunkBehaviours } = definitions.settings;
      const merges = mergeRecords(run.state, { id, user }, fromOffset < offset, mergeChunkBehaviours);
      run.merges.set(id, structuredClone(merges));
      run.silent = true;
      run.link = id;
      return;
    }
    case 'revoked':
      if (run.link === id) Object.assign(run, { silent: false, link: '' });
      return;
    case 'expired':
      Object.assign(run, { state: newBuyer(run.state.key), silent: false, link: '', spoken: 0 });
  }
}

/**
 * A user through its own records and what came by links that were merged before the funnel's record. What a visitor sent on
 * counts as having arrived when the visitor's owner had it. A visitor is gone through when its history comes, and held no longer
 * than the user is.
 */
export function runUser(
  past: KeyPast,
  visitors: ReadonlyMap<string, KeyPast>,
  definitions: Definitions,
): PastRun {
  const run = newRun(past.key);
  const underWay = noForwards();
  const mergesOf = new Map<string, PastRun['merges']>();
  const arrive = (forwards: Iterable<Forward>): void => {
    for (const { row, link } of forwards) applyRow(run, row, link, definitions);
  };
  const change = (told: PastChange): void => {
    run.nowMs = Math.max(run.nowMs, told.timeMs);
    const { visitor, link, offset } = told;
    const visitorPast = visitors.get(visitor);
    if (told.change === 'merged' && visitorPast !== undefined) {
      const merges = mergesOf.get(visitor) ?? runVisitor(visitorPast, definitions).merges;
      mergesOf.set(visitor, merges);
      join(run, merges.get(link) ?? [], offset, definitions);
      addForwards(underWay, forwardsOf(visitorPast, link));
    } else if (told.change === 'dropped') {
      arrive(takeOf(underWay, link));
      drop(run, told, definitions);
    }
  };
  let changed = 0;
  const changeUntil = (offset: number): void => {
    for (; changed < past.changes.length && past.changes[changed]!.offset < offset; changed += 1)
      change(past.changes[changed]!);
  };
  for (const row of past.rows) {
    changeUntil(row.offset);
    arrive(takeBefore(underWay, row));
    applyOwn(run, row, definitions);
  }
  changeUntil(Number.POSITIVE_INFINITY);
  arrive(takeBefore(underWay, undefined));
  run.spoken = countedIn(run.state);
  return run;
}

function join(
  run: PastRun,
  merges: readonly Omit<MergeRecord, 'origin'>[],
  offset: number,
  definitions: Definitions,
): void {
  const origin = { generation: 0, partition: 0, offset: 0, ordinal: 0 };
  const effects: Effect[] = [];
  for (const merge of merges)
    mergeHistory(run.state, { ...merge, origin }, contextOf(run, offset, definitions), effects);
  hear(run, effects);
}

function drop(run: PastRun, { link, visitor, offset }: PastChange, definitions: Definitions): void {
  const effects: Effect[] = [];
  const origin = { generation: 0, partition: 0, offset: 0, ordinal: 0 };
  const { key } = run.state;
  const ended = { kind: 'linkEnded' as const, origin, key, link, visitor, how: 'revoked' as const };
  endPart(run.state, ended, contextOf(run, offset, definitions), effects);
  hear(run, effects);
}

/**
 * The record that tells the key's owner; null if the funnel would have seen nothing of the buyer.
 * @param merged whether the user of a visitor's link has this past by a record of its own
 */
function backfillOf(run: PastRun, definitions: Definitions, merged: boolean): BackfillRecord | null {
  const { state, nowMs, counts, spoken } = run;
  const funnel = definitions.funnels[0]!;
  const effects: Effect[] = [];
  settle(state, nowMs, definitions, effects);
  hear(run, effects);
  const own: BuyerFunnel | undefined = state.funnels[0];
  const steps = new Set(funnel.document.steps);
  // What is no step may end a strict order that began elsewhere.
  const isAny = funnel.document.mode.includes('strict_order');
  const isSeen = ({ behaviour }: { readonly behaviour: string }): boolean => isAny || steps.has(behaviour);
  const level = countedIn(state);
  if (counts.length === 0 && level === 0 && !state.behaviours.some(isSeen)) return null;
  const linkOf = (part: number): string => state.parts.find(({ number }) => number === part)?.link ?? '';
  const settledThroughMs = state.behaviours[state.settledCount - 1]?.timeMs ?? -1;
  const alone = level === 0 ? [] : [{ level, links: [] }];
  const reached = own?.reached.map((each) => ({ level: each.level, links: each.parts.map(linkOf) }));
  return {
    kind: 'backfill',
    key: state.key,
    funnel: funnel.id,
    revision: funnel.revision,
    counts,
    level,
    spoken: run.silent ? spoken : level,
    levels: (state.nextPart === 1 ? alone : reached) ?? [],
    settled: [...(own?.settled ?? [])],
    settledBeforeMs: Math.max(0, unsettledFrom(definitions, nowMs), settledThroughMs + 1),
    behaviours: state.behaviours.map(({ timeMs, behaviour, part }) => [timeMs, behaviour, linkOf(part)]),
    link: run.link,
    merged,
    nextPart: state.nextPart,
  };
}

/** What is known of some keys, and of the visitors whose histories their users have. */
export interface Pasts {
  readonly keys: readonly KeyPast[];
  readonly visitors: readonly KeyPast[];
  /** Links whose histories their users had before the funnel's record. */
  readonly merged: ReadonlySet<string>;
}

/** The records for all the keys of whom the funnel would have seen anything, one key at a time; null for one without. */
export function* backfillRecords(
  { keys, visitors, merged }: Pasts,
  definitions: Definitions,
): Generator<BackfillRecord | null> {
  const byKey = new Map(visitors.map((past) => [past.key, past]));
  for (const past of keys) {
    const isVisitor = past.key.startsWith('a:');
    const run = isVisitor ? runVisitor(past, definitions) : runUser(past, byKey, definitions);
    yield backfillOf(run, definitions, merged.has(run.link));
  }
}
