// What records alone say of somebody, in whatever order they came: attributes, times, totals, sums, first exposures.
// A user's own records and those that came by a link are gathered the same way, and joined.
import { attributesOf, type BuyerAttributes, countryMeant } from './attributes.ts';
import type { BuyerHistory, Exposed, Stamped } from './buyer.ts';
import type { SegmentRecord } from './buyer-record.ts';
import { engage, joinEngagement } from './engagement.ts';
import { inserted } from './sorted.ts';

/** Orders by event time, then message id. */
function isAfter(
  a: Pick<Stamped, 'timeMs' | 'messageId'>,
  b: Pick<Stamped, 'timeMs' | 'messageId'>,
): boolean {
  return a.timeMs > b.timeMs || (a.timeMs === b.timeMs && a.messageId > b.messageId);
}

function latest(known: Stamped | null, said: Stamped | null): Stamped | null {
  if (said === null || (known !== null && !isAfter(said, known))) return known;
  return said;
}

function first(known: Stamped | null, said: Stamped | null): Stamped | null {
  if (said === null || (known !== null && isAfter(said, known))) return known;
  return said;
}

interface Origin {
  readonly timestamp: number;
  readonly messageId: string;
}

function stamp(value: string | undefined, { timestamp, messageId }: Origin): Stamped | null {
  return value === undefined ? null : { value, timeMs: timestamp, messageId };
}

/** What was written before GB stood for UK, in states as in what owners and `jobs` tell each other, goes on to mean the same. */
export function byCodeInForce(country: Stamped | null): Stamped | null {
  if (country === null) return null;
  const value = countryMeant(country.value);
  return value === country.value ? country : { ...country, value };
}

/** Takes what a message of this time and id states. */
export function learnAttributes(
  history: BuyerHistory,
  attributes: Partial<BuyerAttributes>,
  origin: Origin,
): void {
  if (attributes.country !== undefined)
    history.country = latest(history.country, byCodeInForce(stamp(attributes.country, origin)));
  if (attributes.industry !== undefined)
    history.industry = latest(history.industry, stamp(attributes.industry, origin));
  if (attributes.level !== undefined) history.level = latest(history.level, stamp(attributes.level, origin));
  if (attributes.channel !== undefined)
    history.channel = first(history.channel, stamp(attributes.channel, origin));
}

/** Takes what a collected record states, in all the given histories alike. */
export function learnRecord(histories: readonly BuyerHistory[], record: SegmentRecord): void {
  const attributes = attributesOf(record);
  for (const history of histories) {
    learnAttributes(history, attributes, record);
    if (record.kind === 'group') history.company = latest(history.company, stamp(record.groupId, record));
  }
}

/** One behaviour more. */
export function learnBehaviour(
  history: BuyerHistory,
  behaviour: string,
  timeMs: number,
  halfLivesMs: readonly number[],
  nowMs: number,
): void {
  if (history.firstMs === 0 || timeMs < history.firstMs) history.firstMs = timeMs;
  if (timeMs > history.lastMs) history.lastMs = timeMs;
  addTotal(history, behaviour, 1);
  history.engagement = engage(history.engagement, halfLivesMs, behaviour, timeMs, nowMs);
}

function addTotal(history: BuyerHistory, behaviour: string, count: number): void {
  const total = history.totals.find((candidate) => candidate.behaviour === behaviour);
  if (total !== undefined) {
    total.count += count;
    return;
  }
  history.totals = inserted(history.totals, { behaviour, count }, (counted) => counted.behaviour);
}

/** The first exposure (event time, then message id) of each experiment stays. */
export function learnExposure(history: BuyerHistory, exposed: Exposed): void {
  const known = history.exposures.find((candidate) => candidate.experiment === exposed.experiment);
  if (known === undefined) history.exposures.push({ ...exposed });
  else if (isAfter(known, exposed)) Object.assign(known, exposed);
}

/** Adds all of one history to another. */
export function joinHistory(into: BuyerHistory, other: BuyerHistory, halfLivesMs: readonly number[]): void {
  if (other.firstMs !== 0 && (into.firstMs === 0 || other.firstMs < into.firstMs))
    into.firstMs = other.firstMs;
  into.lastMs = Math.max(into.lastMs, other.lastMs);
  into.country = latest(into.country, other.country);
  into.industry = latest(into.industry, other.industry);
  into.level = latest(into.level, other.level);
  into.company = latest(into.company, other.company);
  into.channel = first(into.channel, other.channel);
  for (const { behaviour, count } of other.totals) addTotal(into, behaviour, count);
  into.engagement = joinEngagement(into.engagement, other.engagement, halfLivesMs);
  for (const exposed of other.exposures) learnExposure(into, exposed);
}

/** A copy that shares nothing with the original. */
export function copyHistory(history: BuyerHistory): BuyerHistory {
  const { firstMs, lastMs, country, industry, channel, level, company } = history;
  return {
    firstMs,
    lastMs,
    country,
    industry,
    channel,
    level,
    company,
    engagement: history.engagement.map((sums) => ({
      ...sums,
      sums: sums.sums.map((entry) => ({ ...entry })),
    })),
    totals: history.totals.map((total) => ({ ...total })),
    exposures: history.exposures.map((exposed) => ({ ...exposed })),
  };
}
