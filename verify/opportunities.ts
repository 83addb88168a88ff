// One buyer's opportunities: what deep behaviours open and lead on, what fulfilment and time close.
import type { OpportunityStage } from '../domain/buyer.ts';
import type { SegmentRecord } from '../domain/buyer-record.ts';
import type { OpportunityDefinition } from '../domain/definition.ts';
import { segmentOf } from './attributes.ts';
import type { Facts, When } from './facts.ts';
import type { Epoch } from './in-force.ts';
import { count, type Life, type Opportunity, type Place, type Share, trigger } from './life-state.ts';
import { qualityOf, subjectOf } from './quality.ts';

const depth: readonly OpportunityStage[] = ['contact', 'inquiry', 'order'];

/** A behaviour, and by which part it came: 0 for the buyer's own. */
export interface Deed {
  readonly offset: number;
  readonly behaviour: string;
  readonly epoch: Epoch;
  readonly record: SegmentRecord;
  readonly part: number;
}

/** What a behaviour does to the opportunities. */
export function pursue(life: Life, deed: Deed, place: Place): void {
  const { behaviour, epoch, record } = deed;
  if (epoch.opportunity === undefined) return;
  const when: When = { offset: deed.offset, dueMs: undefined };
  const subject = subjectOf(epoch.opportunity.document, record.properties ?? {});
  if (behaviour === 'fulfil') {
    const served = earliest(
      life.opportunities.filter((each) => each.subject === subject && each.stage === 'order'),
    );
    if (served !== undefined) close(life, served, 'fulfilled', record.timestamp, when, epoch, place.facts);
  } else if ((depth as readonly string[]).includes(behaviour)) {
    goDeep(life, deed, subject, when, place);
  }
}

function goDeep(life: Life, deed: Deed, subject: string, when: When, place: Place): void {
  const { epoch, record, part } = deed;
  const timeMs = record.timestamp;
  const stage = deed.behaviour as OpportunityStage;
  const definition = epoch.opportunity!.document;
  const buyer = { country: segmentOf(life.known).country, level: life.known.level?.value ?? 'unknown' };
  const quality = qualityOf(definition, stage, record.properties ?? {}, buyer);
  const share: Share = { part, stage, updatedMs: timeMs, quality };
  let opportunity = earliest(
    life.opportunities.filter((each) => each.subject === subject && each.stage !== 'order'),
  );
  if (opportunity === undefined) {
    makeRoom(life, timeMs, when, epoch, place.facts);
    const id = `${place.walk.partition}-${deed.offset}`;
    const shares = part === 0 ? [] : [share];
    opportunity = {
      id,
      subject,
      stage,
      openedMs: timeMs,
      updatedMs: timeMs,
      quality,
      qualified: false,
      shares,
    };
    life.opportunities.push(opportunity);
    count(life, 1, timeMs, when, place.facts);
    say(life, opportunity, 'opened', timeMs, when, epoch, place.facts);
    tell(life, opportunity, 'opened', timeMs, when, epoch, place.facts);
  } else {
    const { stage: stageBefore, quality: qualityBefore } = opportunity;
    Object.assign(opportunity, shown([opportunity, share]), { shares: sharesWith(opportunity, share) });
    if (opportunity.stage !== stageBefore)
      say(life, opportunity, 'advanced', timeMs, when, epoch, place.facts);
    else if (opportunity.quality !== qualityBefore)
      say(life, opportunity, 'updated', timeMs, when, epoch, place.facts);
  }
  qualify(life, opportunity, definition, timeMs, when, epoch, place.facts);
}

function qualify(
  life: Life,
  opportunity: Opportunity,
  definition: OpportunityDefinition,
  timeMs: number,
  when: When,
  epoch: Epoch,
  facts: Facts,
): void {
  if (opportunity.qualified || opportunity.quality < definition.qualifiedAt) return;
  opportunity.qualified = true;
  count(life, 2, timeMs, when, facts);
  say(life, opportunity, 'qualified', timeMs, when, epoch, facts);
  tell(life, opportunity, 'qualified', timeMs, when, epoch, facts);
}

/** The shares once one more is brought. As long as all is the buyer's own nobody keeps any. */
function sharesWith(opportunity: Opportunity, brought: Share): readonly Share[] {
  if (opportunity.shares.length === 0 && brought.part === 0) return [];
  const { stage, updatedMs, quality } = opportunity;
  const before =
    opportunity.shares.length === 0 ? [{ part: 0, stage, updatedMs, quality }] : opportunity.shares;
  return byPart([...before, brought]);
}

/** One share a part, in the order of the parts; none if there is but the buyer's own. */
export function byPart(shares: readonly Share[]): readonly Share[] {
  const parts = [...new Set(shares.map(({ part }) => part))].sort((a, b) => a - b);
  if (parts.length === 1 && parts[0] === 0) return [];
  return parts.map((part) => ({ part, ...shown(shares.filter((share) => share.part === part)) }));
}

/** What several shares come to: the highest stage and quality, the latest time. */
export function shown(shares: readonly Pick<Share, 'stage' | 'updatedMs' | 'quality'>[]) {
  return {
    stage: depth[Math.max(...shares.map(({ stage }) => depth.indexOf(stage)))]!,
    updatedMs: Math.max(...shares.map(({ updatedMs }) => updatedMs)),
    quality: Math.max(...shares.map(({ quality }) => quality)),
  };
}

/** The one that was opened first, by event time; the first in the list among equals. */
function earliest(opportunities: readonly Opportunity[]): Opportunity | undefined {
  return [...opportunities].sort((a, b) => a.openedMs - b.openedMs)[0];
}

/** One that finds no room evicts the oldest, as many as stand above the limit in force. */
export function makeRoom(life: Life, timeMs: number, when: When, epoch: Epoch, facts: Facts): void {
  const surplus = life.opportunities.length + 1 - epoch.settings.maxOpportunitiesPerBuyer;
  for (let left = surplus; left > 0; left -= 1)
    close(life, earliest(life.opportunities)!, 'evicted', timeMs, when, epoch, facts);
}

export function closeOverdue(life: Life, nowMs: number, when: When, epoch: Epoch, facts: Facts): void {
  const closeAfterMs = epoch.opportunity?.document.closeAfterMs;
  if (closeAfterMs === undefined) return;
  for (const opportunity of [...life.opportunities]) {
    if (opportunity.updatedMs + closeAfterMs > nowMs) continue;
    const change = opportunity.stage === 'order' ? 'completed' : 'lost';
    close(life, opportunity, change, nowMs, when, epoch, facts);
  }
}

export function close(
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

export function say(
  life: Life,
  { shares: _shares, ...opportunity }: Opportunity,
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
