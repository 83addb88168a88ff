// One buyer's stages, lived through in the order of the log with its timers in between; opportunities beside them.
import type { LifecycleStage } from '../domain/buyer.ts';
import { segmentOf } from './attributes.ts';
import type { Facts, When } from './facts.ts';
import type { Epoch } from './in-force.ts';
import { isBehaved, type Judged } from './judge.ts';
import { type Life, newLife, type Place, trigger } from './life-state.ts';
import { closeOverdue, type Deed, pursue } from './opportunities.ts';
import { whenDue } from './watermark.ts';

/** Lives through the judged records of one buyer; what happens is added to the place's facts. */
export function live(key: string, judged: readonly Judged[], place: Place): Life {
  const life = newLife(key);
  for (const own of judged) {
    waitUntil(life, own.index, place);
    life.known = own.known;
    if (isBehaved(own)) {
      note(life, own);
      act(life, { ...own, part: 0 }, place);
    }
    life.waitsFrom = own.index + 1;
  }
  waitUntil(life, place.walk.gone - 1, place);
  return life;
}

function note(life: Life, { behaviour, timeMs }: Judged): void {
  life.firstMs = life.firstMs === 0 ? timeMs : Math.min(life.firstMs, timeMs);
  life.lastMs = Math.max(life.lastMs, timeMs);
  life.totals = new Map(life.totals).set(behaviour, (life.totals.get(behaviour) ?? 0) + 1);
}

/** What a behaviour leads to, once it is among the life's times and totals. */
export function act(life: Life, deed: Deed, place: Place): void {
  const { epoch, record } = deed;
  pursue(life, deed, place);
  const when: When = { offset: deed.offset, dueMs: undefined };
  if (epoch.lifecycle !== undefined) grow(life, record.timestamp, when, epoch, place.facts);
}

/** When something happens to the buyer by time alone; undefined if nothing waits. */
export function nextDueMs(life: Life, epoch: Epoch): number | undefined {
  const dues = life.opportunities.map(
    ({ updatedMs }) => updatedMs + (epoch.opportunity?.document.closeAfterMs ?? Number.POSITIVE_INFINITY),
  );
  if (epoch.lifecycle !== undefined && life.stage !== null && life.stage !== 'churned') {
    dues.push(life.lastMs + epoch.lifecycle.document.churnedAfterMs);
  }
  const due = Math.min(...dues);
  return Number.isFinite(due) ? due : undefined;
}

/** Everything that is due at or before a step of the walk happens, in the order of its time. */
export function waitUntil(life: Life, lastIndex: number, place: Place): void {
  const { walk, facts } = place;
  for (;;) {
    const due = whenDue(walk, life.waitsFrom, lastIndex, (epoch) => nextDueMs(life, epoch));
    if (due === undefined) return;
    const { step, dueMs, epoch } = due;
    const when: When = { offset: step.offset, dueMs };
    closeOverdue(life, dueMs, when, epoch, facts);
    const churns = epoch.lifecycle !== undefined && life.stage !== null && life.stage !== 'churned';
    if (churns && life.lastMs + epoch.lifecycle!.document.churnedAfterMs <= dueMs) {
      enter(life, 'churned', 'absent', dueMs, when, epoch, facts);
    }
    life.waitsFrom = step.index;
  }
}

/** How many of the behaviours that make a buyer mature there were. */
export function deepCount({ totals }: Pick<Life, 'totals'>, epoch: Epoch): number {
  const names = new Set(epoch.lifecycle?.document.matureBehaviours ?? []);
  return [...names].reduce((sum, each) => sum + (totals.get(each) ?? 0), 0);
}

/** Follows the stages that activity leads through, one at a time. */
export function grow(life: Life, timeMs: number, when: When, epoch: Epoch, facts: Facts): void {
  const { matureCount, retainedAfterMs } = epoch.lifecycle!.document;
  if (life.stage === null) enter(life, 'new', 'first', timeMs, when, epoch, facts);
  if (life.stage === 'churned') {
    enter(life, life.maturedMs > 0 ? 'retained' : 'new', 'returned', timeMs, when, epoch, facts);
  }
  if (life.stage === 'new' && deepCount(life, epoch) >= matureCount) {
    enter(life, 'mature', 'matured', timeMs, when, epoch, facts);
    life.maturedMs = timeMs;
  }
  if (life.stage === 'mature' && life.lastMs - life.maturedMs >= retainedAfterMs) {
    enter(life, 'retained', 'retained', timeMs, when, epoch, facts);
  }
}

function enter(
  life: Life,
  to: LifecycleStage,
  reason: string,
  timeMs: number,
  when: When,
  epoch: Epoch,
  facts: Facts,
): void {
  const from = changeQuietly(life, to, reason, timeMs, when, epoch, facts);
  const data = { reason, lifecycleRevision: epoch.lifecycle!.revision, ...segmentOf(life.known) };
  trigger(life, { on: 'transition', from, to, timeMs, data }, when, epoch, facts);
}

/** A change of which nobody is told. Answers the stage that was. */
export function changeQuietly(
  life: Life,
  to: LifecycleStage | null,
  reason: string,
  timeMs: number,
  when: When,
  epoch: Epoch,
  facts: Facts,
): LifecycleStage | '' {
  const from = life.stage ?? '';
  const revision = epoch.lifecycle?.revision ?? 0;
  life.stage = to;
  life.stageSinceMs = to === null ? 0 : timeMs;
  facts.transitions.push({ ...when, key: life.key, timeMs, from, to: to ?? '', reason, revision });
  return from;
}
