// How far a user has come in the funnels by what is its own and what came by links: by brute force over the behaviours
// that the rules leave to be looked at.
import { type Known, segmentOf } from '../attributes.ts';
import { type Count, cellOf, type When } from '../facts.ts';
import { levelOf } from '../funnel-levels.ts';
import { type Epoch, type FunnelSpan, funnelSpans, settledBefore } from '../in-force.ts';
import type { Place } from '../life-state.ts';
import { watermarkWhen, whenDue } from '../watermark.ts';
import { byTime, type HeldBehaviour, stillHeld } from './held.ts';
import type { LinkedFunnel, StandingLevel } from './linked-person.ts';
import { isStrict, levelBy, newRung, PAST_OFFSET, type Rung, risesBy, seenBy } from './rungs.ts';
import { needed, withLevel } from './standing-levels.ts';

export interface Ladder {
  readonly key: string;
  readonly place: Place;
  readonly spans: readonly FunnelSpan[];
  /** By `<id>:<revision>`. */
  readonly rungs: Map<string, Rung>;
  held: HeldBehaviour[];
  /** What the funnels look at: what was held when they were computed anew, and what came since. */
  seen: HeldBehaviour[];
  /** Everything earlier was settled because of the cap. */
  settledEarlyMs: number;
  /** Everything earlier is settled for strict funnels. */
  settledMs: number;
  /** Whether levels are kept with the parts that they need: once anything came by a link. */
  hasParts: boolean;
  /** Numbers of the parts that are kept apart, beside the user's own; and when each was merged. */
  parts: readonly number[];
  merges: readonly { readonly number: number; readonly mergedMs: number }[];
  known: Known;
  /** How many behaviours there were, ever. */
  total: number;
  /** Event time of the first, 0 if there is none; and the number that the next part gets. */
  firstMs: number;
  nextPart: number;
  /** Whether a visitor says nothing of what happens to it then. */
  isSilentAt(when: When): boolean;
}

/** The record at which something happens to the ladder. */
export interface AtStep {
  readonly index: number;
  readonly offset: number;
  readonly watermarkMs: number;
  readonly epoch: Epoch;
}

export function openLadder(key: string, place: Place, known: Known): Ladder {
  return {
    key,
    place,
    spans: funnelSpans(place.walk.history),
    rungs: new Map(),
    held: [],
    seen: [],
    settledEarlyMs: 0,
    settledMs: 0,
    hasParts: false,
    parts: [],
    merges: [],
    known,
    total: 0,
    firstMs: 0,
    nextPart: 1,
    isSilentAt: () => false,
  };
}

/** Funnels in force at a record that came after their definition. */
export function rungsAt(ladder: Ladder, offset: number): Rung[] {
  const inForce = ladder.spans.filter((span) => offset >= span.sinceOffset && offset < span.untilOffset);
  return inForce.map((span) => {
    const name = `${span.id}:${span.revision}`;
    const known = ladder.rungs.get(name);
    if (known !== undefined) return known;
    const fresh = newRung(span);
    ladder.rungs.set(name, fresh);
    return fresh;
  });
}

/** What waits to be settled settles in time, up to and with the step at `lastIndex`. */
export function waitForSettling(ladder: Ladder, lastIndex: number): void {
  const { walk } = ladder.place;
  const waiting = [...new Set(ladder.held.map(({ timeMs }) => timeMs))]
    .filter((timeMs) => timeMs >= ladder.settledMs)
    .sort((a, b) => a - b);
  for (const timeMs of waiting) {
    const due = whenDue(walk, 0, lastIndex, ({ settings }) => timeMs + settings.latenessMs + 1);
    if (due === undefined) return;
    settleInstant(ladder, timeMs, { offset: due.step.offset, dueMs: due.dueMs });
  }
}

function settleInstant(ladder: Ladder, timeMs: number, when: When): void {
  ladder.settledMs = Math.max(ladder.settledMs, timeMs + 1);
  // A timer goes off before the record, in the funnels of before it.
  const at = when.dueMs === undefined ? when.offset : when.offset - 1;
  for (const rung of rungsAt(ladder, at).filter(isStrict)) {
    const settled = (rung.seen ?? ladder.seen).filter((each) => each.timeMs <= timeMs);
    climb(ladder, rung, levelBy(rung, settled), timeMs, when);
  }
}

/**
 * One behaviour comes. One that falls before what is settled has all funnels computed anew; if it was judged here, that
 * is because of the cap, and it is held without being seen.
 */
export function arrive(ladder: Ladder, added: HeldBehaviour, at: AtStep, isJudgedHere: boolean): void {
  const settledBeforeMs = Math.max(settledBefore(at.epoch, at.watermarkMs), ladder.settledEarlyMs);
  if (isJudgedHere && added.timeMs < ladder.settledEarlyMs - 1) {
    ladder.held = byTime([...ladder.held, added]);
  } else if (!isJudgedHere && added.timeMs < settledBeforeMs) {
    insertAll(ladder, [added], at);
  } else {
    ladder.held = byTime([...ladder.held, added]);
    ladder.seen.push(added);
    for (const rung of ladder.rungs.values()) rung.seen?.push(added);
    for (const rung of rungsAt(ladder, at.offset)) {
      if (isStrict(rung) || !rung.span.document.steps.includes(added.behaviour)) continue;
      if (isAtTop(ladder, rung)) continue;
      const level = levelBy(rung, withinWindow(ladder, rung, added));
      climb(ladder, rung, level, added.timeMs, { offset: at.offset, dueMs: undefined });
    }
  }
  trim(ladder, at);
}

/** A chain that is new because of a behaviour lies within a window of it. */
function withinWindow(ladder: Ladder, { span, seen }: Rung, added: HeldBehaviour): HeldBehaviour[] {
  return (seen ?? ladder.seen).filter(
    ({ timeMs }) => Math.abs(timeMs - added.timeMs) <= span.document.windowMs,
  );
}

function isAtTop({ hasParts }: Ladder, { span, counted, standing }: Rung): boolean {
  const top = span.document.steps.length;
  return counted === top && (!hasParts || standing.some(({ level }) => level === top));
}

/** Behaviours that were judged elsewhere come, and all funnels are computed anew. */
export function insertAll(ladder: Ladder, added: readonly HeldBehaviour[], at: AtStep): void {
  ladder.held = byTime([...ladder.held, ...added]);
  computeAnew(ladder, at);
}

/** From what is held, instant by instant: what is new counts at the time of the behaviour that reaches it. */
export function computeAnew(ladder: Ladder, { offset, watermarkMs, epoch }: AtStep): void {
  ladder.seen = [...ladder.held];
  ladder.settledMs = Math.max(ladder.settledMs, settledBefore(epoch, watermarkMs));
  for (const rung of rungsAt(ladder, offset)) {
    rung.seen = undefined;
    computeRung(ladder, rung, offset);
  }
}

/** One funnel, from what is held. */
export function computeRung(ladder: Ladder, rung: Rung, offset: number): void {
  rung.start = undefined;
  if (isWhole(ladder, rung)) beginAnew(ladder, rung);
  const looked = (rung.seen ?? ladder.seen).filter(
    ({ timeMs }) => !isStrict(rung) || timeMs < ladder.settledMs,
  );
  const instants = new Map(risesBy(rung, looked).map(({ timeMs, level }) => [timeMs, level]));
  for (const [timeMs, level] of instants)
    climb(ladder, rung, level, timeMs, { offset, dueMs: undefined }, timeMs);
}

/** Everything that ever was is held, and this funnel sees it. */
export function isWhole({ held, total }: Ladder, { backfilled }: Rung): boolean {
  return held.length === total && (backfilled || held.every(({ offset }) => offset !== PAST_OFFSET));
}

/** Where everything that ever was is held, what is computed from it is all there is to say. */
function beginAnew({ hasParts }: Ladder, rung: Rung): void {
  rung.standing = [];
  // For a company nothing is counted: how far it has come is where it stands.
  if (!hasParts) rung.counted = 0;
}

/** Counts what is new, and notes what the level needs. */
function climb(
  ladder: Ladder,
  rung: Rung,
  level: number,
  timeMs: number,
  when: When,
  untilMs = isStrict(rung) ? timeMs : Number.POSITIVE_INFINITY,
): void {
  const { id, revision } = rung.span;
  noteLevel(ladder, rung, level, untilMs);
  const awaits = rung.counted < level && awaitsPast(ladder, rung, when);
  const cell = cellOf(segmentOf(ladder.known));
  for (; rung.counted < level; rung.counted += 1) {
    const count: Count = {
      ...when,
      key: ladder.key,
      series: `funnel:${id}`,
      revision,
      timeMs,
      cell,
      column: rung.counted,
    };
    ladder.place.facts.counts.push(count);
    if (awaits) rung.early.push({ ...count, nextPart: ladder.nextPart });
  }
}

/** A level that is new stands with the parts that it needs. */
export function noteLevel(ladder: Ladder, rung: Rung, level: number, untilMs: number): void {
  const stands = Math.max(0, ...rung.standing.map((each) => each.level));
  if (!ladder.hasParts || level <= stands) return;
  const held = seenBy(rung, ladder.held).filter((each) => each.timeMs <= untilMs);
  const reaches = (parts: readonly number[]): boolean =>
    levelOf(
      rung.span.document,
      held.filter(({ part }) => part === 0 || parts.includes(part)),
    ) >= level;
  rung.standing = withLevel(rung.standing, { level, parts: needed(ladder.parts, reaches) });
}

/** Whether a past may still say otherwise: of who was there before the definition, and of whom something came by links. */
function awaitsPast(ladder: Ladder, { span, backfilled }: Rung, when: When): boolean {
  const { walk } = ladder.place;
  if (backfilled || ladder.isSilentAt(when)) return false;
  const sinceMs = watermarkWhen(walk, { offset: span.sinceOffset, dueMs: undefined });
  if (sinceMs === 0) return false;
  return ladder.firstMs <= sinceMs || ladder.nextPart > 1;
}

/** From the first link on, levels are kept with what they need: what was counted before needs nothing. */
export function keepLevels(ladder: Ladder): void {
  if (ladder.hasParts) return;
  ladder.hasParts = true;
  for (const rung of ladder.rungs.values())
    rung.standing = rung.counted === 0 ? [] : [{ level: rung.counted, parts: [] }];
}

/** What was counted for the visitor is counted, and needs the visitor's part. */
export function takeCounted(
  ladder: Ladder,
  counted: readonly { readonly funnel: string; readonly revision: number; readonly level: number }[],
  part: number,
  { offset }: AtStep,
): void {
  for (const rung of rungsAt(ladder, offset)) {
    const { id, revision } = rung.span;
    const level = counted.find((each) => each.funnel === id && each.revision === revision)?.level ?? 0;
    if (level === 0) continue;
    rung.counted = Math.max(rung.counted, level);
    rung.standing = withLevel(rung.standing, { level, parts: [part] });
  }
}

/** What came by a part, and the levels that need it, are gone. */
export function dropPart(ladder: Ladder, part: number): void {
  const wasSettled = ladder.held.filter(({ timeMs }) => timeMs < ladder.settledEarlyMs);
  ladder.held = ladder.held.filter((each) => each.part !== part);
  // What settled early is said by what is held of it.
  const isSettled = wasSettled.filter((each) => each.part !== part);
  if (isSettled.length < wasSettled.length) ladder.settledEarlyMs = (isSettled.at(-1)?.timeMs ?? -1) + 1;
  for (const rung of ladder.rungs.values())
    rung.standing = rung.standing.filter(({ parts }) => !parts.includes(part));
}

/** What came by a part is the user's own for good. */
export function ownPart(ladder: Ladder, part: number): void {
  const own = (each: HeldBehaviour): HeldBehaviour => (each.part === part ? { ...each, part: 0 } : each);
  ladder.held = ladder.held.map(own);
  ladder.seen = ladder.seen.map(own);
  for (const rung of ladder.rungs.values()) rung.seen = rung.seen?.map(own);
  for (const rung of ladder.rungs.values()) {
    rung.standing = rung.standing
      .map(({ level, parts }) => ({ level, parts: parts.filter((each) => each !== part) }))
      .reduce<readonly StandingLevel[]>(withLevel, []);
  }
}

/** Too many that wait settle early, instant by instant; then what is too old or too much is forgotten. */
export function trim(ladder: Ladder, at: AtStep): void {
  const { maxBehavioursPerBuyer } = at.epoch.settings;
  const settledBeforeMs = Math.max(settledBefore(at.epoch, at.watermarkMs), ladder.settledEarlyMs);
  let waiting = ladder.held.filter(({ timeMs }) => timeMs >= settledBeforeMs);
  while (waiting.length >= maxBehavioursPerBuyer) {
    const [{ timeMs } = { timeMs: 0 }] = waiting;
    settleInstant(ladder, timeMs, { offset: at.offset, dueMs: undefined });
    ladder.settledEarlyMs = timeMs + 1;
    waiting = waiting.filter((each) => each.timeMs > timeMs);
  }
  ladder.held = stillHeld(ladder.held, at.watermarkMs, at.epoch);
}

/** The funnels in force at the end. */
export function funnelsOf({ rungs }: Ladder): LinkedFunnel[] {
  return [...rungs.values()]
    .filter(({ span }) => span.untilOffset === Number.POSITIVE_INFINITY)
    .map(({ span, counted, standing }) => ({ id: span.id, revision: span.revision, counted, standing }));
}

/** When the first of those that wait settles, if any strict funnel may still rise; undefined if none does. */
export function settlingDueMs(ladder: Ladder, epoch: Epoch): number | undefined {
  const strict = [...ladder.rungs.values()].filter(
    (rung) => isStrict(rung) && rung.span.untilOffset === Number.POSITIVE_INFINITY,
  );
  const waiting = strict.flatMap((rung) => {
    return risesBy(rung, rung.seen ?? ladder.seen)
      .filter(({ timeMs }) => timeMs >= ladder.settledMs)
      .map(({ timeMs }) => timeMs);
  });
  return waiting.length === 0 ? undefined : Math.min(...waiting) + epoch.settings.latenessMs + 1;
}
