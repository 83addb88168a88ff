// What a funnel would have made of a buyer, had it been defined from the start: the buyer's records are gone through again,
// in the order in which its owner had them, by the same rules.
import { type Buyer, type BuyerFunnel, newBuyer } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import { historiesOf, partOf } from './buyer-parts.ts';
import type { FunnelDefinition, InForce, Settings } from './definition.ts';
import type { Effect } from './effect.ts';
import { reach, reachForeign } from './funnel-foreign.ts';
import { settle, trimBehaviours } from './funnel-progress.ts';
import { learnAttributes, learnBehaviour } from './history.ts';
import type { BackfillRecord, MergeRecord } from './identity-record.ts';
import { arrange, type Definitions, type KeptDefinition } from './in-force.ts';
import { endPart, mergeHistory } from './linked-history.ts';
import { unsettledFrom } from './time-floors.ts';
import { mergeRecords } from './visitor-history.ts';

/** An applied record, as ClickHouse has it. Attributes are '' where it is silent. */
export interface PastRow {
  readonly offset: number;
  readonly timeMs: number;
  readonly appendMs: number;
  readonly messageId: string;
  readonly behaviour: string;
  readonly country: string;
  readonly industry: string;
  readonly channel: string;
}

/** What became of a link, at the owner of the key under which it is told. */
export interface PastChange {
  readonly offset: number;
  readonly timeMs: number;
  readonly link: string;
  readonly visitor: string;
  readonly user: string;
  readonly change: string;
  /** `linked`: from where on the visitor's records are the user's; below its own offset if the link owns the history. */
  readonly fromOffset: number;
}

/** All of one key before the funnel's record, each list in the order of the log. */
export interface KeyPast {
  readonly key: string;
  readonly rows: readonly PastRow[];
  readonly changes: readonly PastChange[];
}

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
      const link = { id, user, sinceMs: run.nowMs, stage: null };
      const { mergeChunkBehaviours } = definitions.settings;
      const merges = mergeRecords(run.state, link, fromOffset < offset, mergeChunkBehaviours);
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

/** What a linked visitor sent on: a row and its link. */
interface Forward {
  readonly row: PastRow;
  readonly link: string;
}

function forwardsOf({ rows, changes }: KeyPast, link: string): Forward[] {
  const fromOffset = changes.find((each) => each.link === link && each.change === 'linked')?.offset;
  if (fromOffset === undefined) return [];
  const ended = changes.find((each) => each.link === link && each.change !== 'linked');
  const toOffset = ended?.offset ?? Number.POSITIVE_INFINITY;
  return rows.filter(({ offset }) => offset > fromOffset && offset < toOffset).map((row) => ({ row, link }));
}

/** Records of two partitions, by when they were appended; in the same millisecond (a fast replay), by their own times. */
function isEarlier(a: PastRow, b: PastRow): boolean {
  return a.appendMs === b.appendMs ? a.timeMs <= b.timeMs : a.appendMs < b.appendMs;
}

/**
 * A user through its own records and what came by links that were merged before the funnel's record. What a visitor sent on
 * counts as having arrived when the visitor's owner had it.
 */
export function runUser(
  past: KeyPast,
  visitors: ReadonlyMap<string, { readonly past: KeyPast; readonly run: PastRun }>,
  definitions: Definitions,
): PastRun {
  const run = newRun(past.key);
  let underWay: Forward[] = [];
  const arrive = (isDue: (forward: Forward) => boolean): void => {
    for (const { row, link } of underWay.filter(isDue)) applyRow(run, row, link, definitions);
    underWay = underWay.filter((forward) => !isDue(forward));
  };
  const change = (told: PastChange): void => {
    run.nowMs = Math.max(run.nowMs, told.timeMs);
    const visitor = visitors.get(told.visitor);
    if (told.change === 'merged' && visitor !== undefined) {
      join(run, visitor.run.merges.get(told.link) ?? [], told.offset, definitions);
      underWay = [...underWay, ...forwardsOf(visitor.past, told.link)].sort(
        (a, b) => a.row.appendMs - b.row.appendMs || a.row.timeMs - b.row.timeMs,
      );
    } else if (told.change === 'dropped') {
      arrive(({ link }) => link === told.link);
      drop(run, told, definitions);
    }
  };
  const changes = [...past.changes];
  for (const row of past.rows) {
    while (changes[0] !== undefined && changes[0].offset < row.offset) change(changes.shift()!);
    arrive((forward) => isEarlier(forward.row, row));
    applyOwn(run, row, definitions);
  }
  for (const told of changes) change(told);
  arrive(() => true);
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

/** The records for all the keys of whom the funnel would have seen anything. */
export function backfillRecords(
  { keys, visitors, merged }: Pasts,
  definitions: Definitions,
): BackfillRecord[] {
  const runs = new Map(visitors.map((past) => [past.key, { past, run: runVisitor(past, definitions) }]));
  return keys.flatMap((past): BackfillRecord[] => {
    const isVisitor = past.key.startsWith('a:');
    const run = isVisitor ? runVisitor(past, definitions) : runUser(past, runs, definitions);
    const record = backfillOf(run, definitions, merged.has(run.link));
    return record === null ? [] : [record];
  });
}
