// One buyer's stages and opportunities, lived through in the order of the log with its timers in between.
import type { LifecycleStage, OpportunityStage } from '../domain/buyer.ts';
import type { EventsTopicRecord } from '../domain/record.ts';
import { type Known, nothingKnown, segmentOf } from './attributes.ts';
import { cellOf, type Facts, type When } from './facts.ts';
import type { Epoch } from './in-force.ts';
import type { Judged } from './judge.ts';
import { qualityOf, subjectOf } from './quality.ts';
import type { Walk } from './watermark.ts';

export interface Opportunity {
  readonly id: string;
  readonly subject: string;
  stage: OpportunityStage;
  readonly openedMs: number;
  updatedMs: number;
  quality: number;
  qualified: boolean;
}

/** What is left of a life at the end of the log. */
export interface Life {
  readonly key: string;
  stage: LifecycleStage | null;
  stageSinceMs: number;
  maturedMs: number;
  firstMs: number;
  lastMs: number;
  readonly totals: Map<string, number>;
  opportunities: Opportunity[];
  known: Known;
  /** The first step of the walk at which a timer may go off: what is due already goes off before the next record. */
  waitsFrom: number;
}

const depth: readonly OpportunityStage[] = ['contact', 'inquiry', 'order'];

/** Where a life is lived: its partition's walk and where its facts go. */
export interface Place {
  readonly walk: Walk<EventsTopicRecord>;
  readonly facts: Facts;
}

/** Lives through the judged records of one buyer; what happens is added to the place's facts. */
export function live(key: string, judged: readonly Judged[], place: Place): Life {
  const life: Life = {
    key,
    stage: null,
    stageSinceMs: 0,
    maturedMs: 0,
    firstMs: 0,
    lastMs: 0,
    totals: new Map(),
    opportunities: [],
    known: nothingKnown,
    waitsFrom: 0,
  };
  for (const own of judged) {
    waitUntil(life, own.index, place);
    life.known = own.known;
    if (own.verdict === 'applied' && own.behaviour !== '') act(life, own, place);
    life.waitsFrom = own.index + 1;
  }
  waitUntil(life, place.walk.steps.length - 1, place);
  return life;
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
function waitUntil(life: Life, lastIndex: number, place: Place): void {
  const { walk, facts } = place;
  const epochAt = (index: number): Epoch => walk.history.at(walk.steps[index]?.offset ?? 0);
  for (;;) {
    // The definitions that hold are those of the record at which the timer goes off.
    const soonMs = nextDueMs(life, epochAt(life.waitsFrom));
    const soon = soonMs === undefined ? undefined : walk.firstReaching(soonMs, life.waitsFrom);
    const epoch = epochAt(Math.min(soon?.index ?? lastIndex, lastIndex));
    const dueMs = nextDueMs(life, epoch);
    if (dueMs === undefined) return;
    const step = walk.firstReaching(dueMs, life.waitsFrom);
    if (step === undefined || step.index > lastIndex) return;
    const when: When = { offset: step.offset, dueMs };
    closeOverdue(life, dueMs, when, epoch, facts);
    const churns = epoch.lifecycle !== undefined && life.stage !== null && life.stage !== 'churned';
    if (churns && life.lastMs + epoch.lifecycle!.document.churnedAfterMs <= dueMs) {
      enter(life, 'churned', 'absent', dueMs, when, epoch, facts);
    }
    life.waitsFrom = step.index;
  }
}

function closeOverdue(life: Life, nowMs: number, when: When, epoch: Epoch, facts: Facts): void {
  const closeAfterMs = epoch.opportunity?.document.closeAfterMs;
  if (closeAfterMs === undefined) return;
  for (const opportunity of [...life.opportunities]) {
    if (opportunity.updatedMs + closeAfterMs > nowMs) continue;
    const change = opportunity.stage === 'order' ? 'completed' : 'lost';
    close(life, opportunity, change, nowMs, when, epoch, facts);
  }
}

function act(life: Life, own: Judged, place: Place): void {
  const { behaviour, epoch, record } = own;
  const timeMs = record.timestamp;
  const when: When = { offset: own.offset, dueMs: undefined };
  life.firstMs = life.firstMs === 0 ? timeMs : Math.min(life.firstMs, timeMs);
  life.lastMs = Math.max(life.lastMs, timeMs);
  life.totals.set(behaviour, (life.totals.get(behaviour) ?? 0) + 1);
  if (epoch.opportunity !== undefined) {
    const definition = epoch.opportunity.document;
    const subject = subjectOf(definition, record.properties ?? {});
    if (behaviour === 'fulfil') {
      const served = earliest(
        life.opportunities.filter((each) => each.subject === subject && each.stage === 'order'),
      );
      if (served !== undefined) close(life, served, 'fulfilled', timeMs, when, epoch, place.facts);
    } else if ((depth as readonly string[]).includes(behaviour)) {
      goDeep(life, own, subject, when, place);
    }
  }
  if (epoch.lifecycle !== undefined) grow(life, timeMs, when, epoch, place.facts);
}

function goDeep(life: Life, own: Judged, subject: string, when: When, place: Place): void {
  const { epoch, record } = own;
  const timeMs = record.timestamp;
  const stage = own.behaviour as OpportunityStage;
  const definition = epoch.opportunity!.document;
  const buyer = { country: life.known.country?.value, level: life.known.level?.value };
  const quality = qualityOf(definition, stage, record.properties ?? {}, buyer);
  let opportunity = earliest(
    life.opportunities.filter((each) => each.subject === subject && each.stage !== 'order'),
  );
  if (opportunity === undefined) {
    if (life.opportunities.length >= epoch.settings.maxOpportunitiesPerBuyer) {
      close(life, earliest(life.opportunities)!, 'evicted', timeMs, when, epoch, place.facts);
    }
    const id = `${place.walk.partition}-${own.offset}`;
    opportunity = { id, subject, stage, openedMs: timeMs, updatedMs: timeMs, quality, qualified: false };
    life.opportunities.push(opportunity);
    count(life, 1, timeMs, when, place.facts);
    say(life, opportunity, 'opened', timeMs, when, epoch, place.facts);
    tell(life, opportunity, 'opened', timeMs, when, epoch, place.facts);
  } else {
    const rose = depth.indexOf(stage) > depth.indexOf(opportunity.stage);
    const better = quality > opportunity.quality;
    if (rose) opportunity.stage = stage;
    opportunity.quality = Math.max(quality, opportunity.quality);
    opportunity.updatedMs = Math.max(timeMs, opportunity.updatedMs);
    if (rose) say(life, opportunity, 'advanced', timeMs, when, epoch, place.facts);
    else if (better) say(life, opportunity, 'updated', timeMs, when, epoch, place.facts);
  }
  if (opportunity.qualified || opportunity.quality < definition.qualifiedAt) return;
  opportunity.qualified = true;
  count(life, 2, timeMs, when, place.facts);
  say(life, opportunity, 'qualified', timeMs, when, epoch, place.facts);
  tell(life, opportunity, 'qualified', timeMs, when, epoch, place.facts);
}

/** The one that was opened first, by event time; the first in the list among equals. */
function earliest(opportunities: readonly Opportunity[]): Opportunity | undefined {
  return [...opportunities].sort((a, b) => a.openedMs - b.openedMs)[0];
}

/** Follows the stages that activity leads through, one at a time. */
function grow(life: Life, timeMs: number, when: When, epoch: Epoch, facts: Facts): void {
  const { matureBehaviours, matureCount, retainedAfterMs } = epoch.lifecycle!.document;
  if (life.stage === null) enter(life, 'new', 'first', timeMs, when, epoch, facts);
  if (life.stage === 'churned') {
    enter(life, life.maturedMs > 0 ? 'retained' : 'new', 'returned', timeMs, when, epoch, facts);
  }
  const deep = [...new Set(matureBehaviours)].reduce((sum, each) => sum + (life.totals.get(each) ?? 0), 0);
  if (life.stage === 'new' && deep >= matureCount) {
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
  const from = life.stage ?? '';
  const revision = epoch.lifecycle!.revision;
  life.stage = to;
  life.stageSinceMs = timeMs;
  facts.transitions.push({ ...when, key: life.key, timeMs, from, to, reason, revision });
  const data = { reason, lifecycleRevision: revision, ...segmentOf(life.known) };
  trigger(life, { on: 'transition', from, to, timeMs, data }, when, epoch, facts);
}

function close(
  life: Life,
  opportunity: Opportunity,
  change: string,
  timeMs: number,
  when: When,
  epoch: Epoch,
  facts: Facts,
): void {
  life.opportunities = life.opportunities.filter((each) => each.id !== opportunity.id);
  say(life, opportunity, change, timeMs, when, epoch, facts);
}

function say(
  life: Life,
  opportunity: Opportunity,
  change: string,
  timeMs: number,
  when: When,
  epoch: Epoch,
  facts: Facts,
): void {
  facts.opportunities.push({
    ...when,
    ...opportunity,
    key: life.key,
    timeMs,
    change,
    segment: segmentOf(life.known),
    level: life.known.level?.value ?? '',
    revision: epoch.opportunity?.revision ?? 0,
  });
}

function tell(
  life: Life,
  { id, subject, stage, quality }: Opportunity,
  to: 'opened' | 'qualified',
  timeMs: number,
  when: When,
  epoch: Epoch,
  facts: Facts,
): void {
  const opportunityRevision = epoch.opportunity!.revision;
  const data = { opportunity: id, subject, stage, quality, opportunityRevision, ...segmentOf(life.known) };
  const from = to === 'opened' ? '' : 'opened';
  trigger(life, { on: 'opportunity', from, to, timeMs, data }, when, epoch, facts);
}

type Happened = Pick<Facts['triggers'][number], 'on' | 'from' | 'to' | 'timeMs' | 'data'>;

function trigger(life: Life, happened: Happened, when: When, epoch: Epoch, facts: Facts): void {
  for (const { id, revision, document } of epoch.triggers) {
    const wanted = document.on === happened.on && document.to.includes(happened.to);
    if (wanted) facts.triggers.push({ ...when, ...happened, key: life.key, definition: id, revision });
  }
}

function count(life: Life, column: number, timeMs: number, when: When, facts: Facts): void {
  const cell = cellOf(segmentOf(life.known));
  facts.counts.push({ ...when, key: life.key, series: 'northstar', revision: 0, timeMs, cell, column });
}
