// A funnel's past comes to a buyer (docs/decisions/definitions.md, "A funnel's past"): what `jobs` found is taken as given, what
// its owner must have made of it is worked out over the behaviours that the rules leave to be looked at.

import type { BackfillRecord, PastRecord } from '../../domain/identity-record.ts';
import { segmentOf } from '../attributes.ts';
import { type Count, cellOf } from '../facts.ts';
import { type Rise, risesOf, type Start } from '../funnel-levels.ts';
import { settledBefore } from '../in-force.ts';
import { byTime, type HeldBehaviour } from './held.ts';
import { type AtStep, computeRung, isWhole, type Ladder, noteLevel, rungsAt } from './ladder.ts';
import { isStrict, PAST_OFFSET, type Rung, risesBy } from './rungs.ts';
import { withLevel } from './standing-levels.ts';

/** The link of a visitor when its past comes. */
export interface LinkThen {
  readonly sinceMs: number;
}

/** The funnel that the record is of, if that revision is in force. */
export function rungOf(
  ladder: Ladder,
  { funnel, revision }: { readonly funnel: string; readonly revision: number },
  { offset }: AtStep,
): Rung | undefined {
  return rungsAt(ladder, offset).find(({ span }) => span.id === funnel && span.revision === revision);
}

/** The automaton's state as it stands in the record: a level, when the latest chain to each step began, and came there. */
function startOf({ settled }: BackfillRecord, { span }: Rung): Start {
  const [level = 0, ...times] = settled;
  const lasts = span.document.mode.includes('strict_increase') ? times.slice(level) : times;
  const chains = Array.from({ length: times.length === 0 ? 0 : level }, (_, index) => ({
    beganMs: times[index]!,
    lastMs: lasts[index]!,
  }));
  return { level, chains, isOver: settled.length === 1 };
}

/** Puts in those that are not held, each as often as it is said; true if something newer stands before `settledBeforeMs`. */
function insert(
  ladder: Ladder,
  { span }: Rung,
  past: readonly HeldBehaviour[],
  settledBeforeMs: number,
): boolean {
  const nameOf = ({ timeMs, behaviour, part }: HeldBehaviour): string => `${timeMs} ${behaviour} ${part}`;
  const said = past.map(nameOf);
  const others = ladder.held.filter((each) => {
    const index = said.indexOf(nameOf(each));
    if (index !== -1) said.splice(index, 1);
    return index === -1;
  });
  const missing = past.filter((each) => {
    const index = said.indexOf(nameOf(each));
    if (index !== -1) said.splice(index, 1);
    return index !== -1;
  });
  ladder.held = byTime([...missing, ...ladder.held]);
  return others.some(({ timeMs, offset }) => timeMs < settledBeforeMs && offset > span.sinceOffset);
}

/**
 * Answers the level that is counted aloud.
 * @param partOf undefined for a link that was taken back
 * @param link of a visitor, if it is linked
 */
export function takeBackfill(
  ladder: Ladder,
  rung: Rung,
  record: BackfillRecord,
  partOf: (link: string) => number | undefined,
  link: LinkThen | undefined,
  at: AtStep,
): number {
  const { latenessMs } = at.epoch.settings;
  const past = record.behaviours.flatMap(([timeMs, behaviour, by]) => {
    const part = partOf(by);
    return part === undefined ? [] : [{ timeMs, behaviour, offset: PAST_OFFSET, part }];
  });
  const isAmended = insert(ladder, rung, past, record.settledBeforeMs);
  ladder.settledMs = Math.max(ladder.settledMs, settledBefore(at.epoch, at.watermarkMs));
  rung.backfilled = true;
  const isHeldWhole = ladder.hasParts && isWhole(ladder, rung);
  if (isHeldWhole) rung.standing = [];
  else if (ladder.hasParts) takeLevels(rung, record, partOf);
  const links = [...record.behaviours.map(([, , by]) => by), ...record.levels.flatMap((each) => each.links)];
  // What the automaton saw of a link that was taken back cannot be told apart.
  const fromHeld = isAmended || isHeldWhole || links.map(partOf).includes(undefined);
  rung.start = fromHeld ? undefined : startOf(record, rung);
  rung.seen = fromHeld
    ? [...ladder.held]
    : ladder.held.filter(({ timeMs }) => timeMs >= record.settledBeforeMs);
  const level = Math.max(record.level, rung.start?.level ?? 0);
  const all = climbAnew(ladder, rung, level);
  const looked = lookedAt(ladder, rung);
  const since = ladder.held.filter(({ offset }) => offset > rung.span.sinceOffset);
  const { merges } = ladder;
  const inTurn = (joined: Times, of: (part: number) => Times): Times =>
    untilMerged(rung, merges, record.nextPart, latenessMs, joined, of);
  const reachedMs = inTurn(all, (part) => timesAbove(risesBy(rung, below(looked, part)), level));
  const alone = inTurn(timesAlone(rung, since), (part) => timesAlone(rung, below(since, part)));
  const [first] = merges.filter(({ number }) => number >= record.nextPart);
  const nothing: Times = new Map();
  const beforeMerges = untilMerged(
    rung,
    first === undefined ? [] : [first],
    record.nextPart,
    latenessMs,
    nothing,
    (part) => timesAbove(risesBy(rung, below(looked, part)), level),
  );
  return count(ladder, rung, record, reachedMs, beforeMerges, alone, link, at);
}

function takeLevels(rung: Rung, { levels }: BackfillRecord, partOf: (link: string) => number | undefined) {
  if (isStrict(rung)) rung.standing = rung.standing.filter(({ parts }) => parts.length > 0);
  for (const { level, links } of levels) {
    const parts = links.map(partOf);
    if (parts.some((part) => part === undefined)) continue;
    const apart = [...new Set(parts as number[])].filter((part) => part > 0);
    rung.standing = withLevel(rung.standing, { level, parts: apart.sort((a, b) => a - b) });
  }
}

/** When each step is reached, by its number from 0. */
type Times = ReadonlyMap<number, number>;

function lookedAt(ladder: Ladder, rung: Rung): HeldBehaviour[] {
  return rung.seen!.filter(({ timeMs }) => !isStrict(rung) || timeMs < ladder.settledMs);
}

function below(behaviours: readonly HeldBehaviour[], parts: number): HeldBehaviour[] {
  return behaviours.filter(({ part }) => part < parts);
}

function climbAnew(ladder: Ladder, rung: Rung, level: number): Times {
  const rises = risesBy(rung, lookedAt(ladder, rung));
  for (const { timeMs, level: reached } of lastOfInstants(rises)) noteLevel(ladder, rung, reached, timeMs);
  return timesAbove(rises, level);
}

function lastOfInstants(rises: readonly Rise[]): Rise[] {
  return rises.filter(({ timeMs }, index) => rises[index + 1]?.timeMs !== timeMs);
}

function timesAbove(rises: readonly Rise[], level: number): Times {
  return new Map(rises.filter((rise) => rise.level > level).map((rise) => [rise.level - 1, rise.timeMs]));
}

/** Of what came since the definition alone. */
function timesAlone({ span }: Rung, since: readonly HeldBehaviour[]): Times {
  return timesAbove(risesOf(span.document, since), 0);
}

/** Of each step, the time by which it was reached before a merge that came since the record, else with all that was merged. */
function untilMerged(
  rung: Rung,
  merges: Ladder['merges'],
  firstPart: number,
  latenessMs: number,
  joined: Times,
  times: (parts: number) => Times,
): Times {
  const found = new Map(joined);
  for (const { number, mergedMs } of [...merges].reverse()) {
    if (number < firstPart) continue;
    const untilMs = isStrict(rung) ? mergedMs - latenessMs - 1 : mergedMs;
    for (const [column, timeMs] of times(number)) if (timeMs <= untilMs) found.set(column, timeMs);
  }
  return new Map([...found].sort(([a], [b]) => a - b));
}

function count(
  ladder: Ladder,
  rung: Rung,
  record: BackfillRecord,
  reachedMs: Times,
  beforeMerges: Times,
  alone: Times,
  link: LinkThen | undefined,
  { offset, epoch }: AtStep,
): number {
  const { id, revision } = rung.span;
  const { nextPart } = ladder;
  const push = (column: number, timeMs: number, cell: string, amount: number): Rung['early'][number] => {
    const series = `funnel:${id}`;
    const what: Count = { offset, dueMs: undefined, key: ladder.key, series, revision, timeMs, cell, column };
    ladder.place.facts.counts.push({ ...what, amount, aloud: true });
    return { ...what, nextPart };
  };
  for (const [column, timeMs, cell] of record.counts) push(column, timeMs, cell, 1);
  const standing: Rung['early'] = [];
  const stand = (step: Rung['early'][number]): void => {
    standing.push(beforeMerges.has(step.column) ? { ...step, nextPart: record.nextPart } : step);
  };
  for (const early of rung.early) {
    const { column, timeMs, cell } = early;
    const found = reachedMs.get(column);
    const isEarlier =
      found !== undefined && found < timeMs && found < (alone.get(column) ?? Number.POSITIVE_INFINITY);
    const isMergeds = beforeMerges.has(column) && early.nextPart > record.nextPart;
    const stays = isStrict(rung) || isEarlier || isMergeds ? found : timeMs;
    const rightMs = column < record.level ? undefined : stays;
    if (rightMs !== undefined) stand({ ...early, timeMs: rightMs });
    if (rightMs === timeMs) continue;
    push(column, timeMs, cell, -1);
    if (rightMs !== undefined) push(column, rightMs, cell, 1);
  }
  const latenessMs = isStrict(rung) ? epoch.settings.latenessMs + 1 : 0;
  const linkedMs = record.link === '' ? (link?.sinceMs ?? 0) - latenessMs : 0;
  const untilMs = link === undefined ? Number.POSITIVE_INFINITY : linkedMs;
  const cell = cellOf(segmentOf(ladder.known));
  let aloud = Math.max(record.spoken, ...rung.early.map(({ column }) => column + 1));
  for (const [column, timeMs] of reachedMs) {
    const isEarly = rung.early.some((each) => each.column === column);
    const isCounted = beforeMerges.has(column) ? isEarly : column < rung.counted;
    if (column < record.level || isCounted || timeMs > untilMs) continue;
    stand(push(column, timeMs, cell, 1));
    aloud = Math.max(aloud, column + 1);
  }
  const elsewhere = Array.from({ length: rung.counted }, (_, column) => column).filter(
    (column) => !isStrict(rung) || !rung.early.some((each) => each.column === column),
  );
  const all = [...reachedMs.keys(), ...elsewhere].map((column) => column + 1);
  rung.counted = Math.max(record.level, ...all);
  // The past of a part that came since the record may come later.
  rung.early = nextPart > record.nextPart ? standing : [];
  return aloud;
}

/** A visitor's past, whose history is a part already. */
export function takePast(ladder: Ladder, rung: Rung, record: PastRecord, part: number, at: AtStep): void {
  const { offset, watermarkMs, epoch } = at;
  const isAgain = ({ column, nextPart }: Rung['early'][number]): boolean =>
    column < record.level && nextPart > part;
  for (const { nextPart: _, ...again } of rung.early.filter(isAgain))
    ladder.place.facts.counts.push({ ...again, offset, dueMs: undefined, amount: -1 });
  rung.early = rung.early.filter((each) => !isAgain(each));
  rung.counted = Math.max(rung.counted, record.level);
  if (record.level > 0) rung.standing = withLevel(rung.standing, { level: record.level, parts: [part] });
  const past = record.behaviours.map(([timeMs, behaviour]) => ({ timeMs, behaviour, offset, part }));
  insert(ladder, rung, past, 0);
  ladder.held = ladder.held.map((each) => (each.part === part ? { ...each, offset } : each));
  ladder.settledMs = Math.max(ladder.settledMs, settledBefore(epoch, watermarkMs));
  rung.seen = [...ladder.held];
  computeRung(ladder, rung, offset);
}
