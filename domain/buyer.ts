// The state that is kept of one buyer: plain data, small, in one canonical form (arrays, no maps with foreign keys).
import { UNKNOWN } from './attributes.ts';
import type { FunnelProgress } from './funnel.ts';
import type { MergeBase } from './identity-record.ts';

/** A value with the event time and message that brought it: the later (time, then message id) wins, so arrival order does not matter. */
export interface Stamped {
  value: string;
  timeMs: number;
  messageId: string;
}

/** A mapped behaviour of the buyer. */
export interface RememberedBehaviour {
  timeMs: number;
  behaviour: string;
  /** The partition's definition epoch when it arrived: a funnel counts only what arrived after its definition. */
  epoch: number;
  /** The number of the part that it came by; 0 for the buyer's own. */
  part: number;
}

/** A level that was reached, and the parts beside the buyer's own without which it would not have been. */
export interface ReachedLevel {
  level: number;
  parts: number[];
}

/** A step as it was counted. */
export interface CountedStep {
  /** The step's number, from 0. */
  column: number;
  /** Event time. */
  timeMs: number;
  cell: string;
  /** The number that the buyer's next part had: what was counted after a merge has a higher one than its part. */
  nextPart: number;
}

export interface BuyerFunnel {
  id: string;
  revision: number;
  /** Steps already counted for this buyer; only rises. */
  counted: number;
  /** The automaton after every settled behaviour (event time below watermark − lateness). */
  settled: FunnelProgress;
  /** Empty as long as nothing came by a link: then the level is what was counted. */
  reached: readonly ReachedLevel[];
  /**
   * What was counted since the funnel's record, until its past is folded in and says otherwise; only of who has a past.
   * Of a user who was merged in between what stands is kept on: the past of that part may say otherwise, too.
   */
  early: readonly CountedStep[];
  /** The past is folded in: from then on the funnel looks at all that is held, whenever it arrived. */
  backfilled: boolean;
}

/** Decayed sums of behaviours, one set a half-life: Σ 2^((t − referenceMs) / halfLifeMs). */
export interface EngagementSums {
  halfLifeMs: number;
  referenceMs: number;
  /** Sorted by behaviour name. */
  sums: { behaviour: string; sum: number }[];
}

export type LifecycleStage = 'new' | 'mature' | 'retained' | 'churned';

export type OpportunityStage = 'contact' | 'inquiry' | 'order';

/** What one part brought to an opportunity that several have a share in. */
export interface OpportunityShare {
  part: number;
  stage: OpportunityStage;
  updatedMs: number;
  quality: number;
}

/** An opportunity that is open: not fulfilled, not lost. */
export interface OpenOpportunity {
  /** `<partition>-<offset>` of the record that opened it; one that was taken over has `.<n>` behind it. */
  id: string;
  subject: string;
  stage: OpportunityStage;
  openedMs: number;
  /** The latest event time of a behaviour that belongs to it. */
  updatedMs: number;
  /** In [0, 1]. */
  quality: number;
  qualified: boolean;
  /** Empty if all of it is the buyer's own. */
  shares: OpportunityShare[];
}

/** The variant of the first exposure (event time, then message id). */
export interface Exposed {
  experiment: string;
  variant: string;
  timeMs: number;
  messageId: string;
}

/** What is known of somebody by records alone, whatever the order in which they came. */
export interface BuyerHistory {
  /** Event time of the first and the last behaviour; 0 if there is none. */
  firstMs: number;
  lastMs: number;
  country: Stamped | null;
  industry: Stamped | null;
  /** First touch: the earliest (time, then message id) stays. */
  channel: Stamped | null;
  level: Stamped | null;
  /** The latest group that the buyer was put into. */
  company: Stamped | null;
  engagement: EngagementSums[];
  /** How often each behaviour was applied, ever; sorted by name. */
  totals: { behaviour: string; count: number }[];
  exposures: Exposed[];
}

/** What came to a user by one link, beside behaviours and opportunities, which say so themselves; number 0 is its own. */
export interface BuyerPart extends BuyerHistory {
  number: number;
  /** '' for number 0. */
  link: string;
  visitor: string;
  /** The user's watermark when it was merged. */
  mergedMs: number;
  ended: boolean;
}

/** A history on its way: chunks that came, until the last one is there. */
export interface ArrivingHistory {
  link: string;
  visitor: string;
  base: MergeBase;
  /** How many chunks are there. */
  chunks: number;
  behaviours: [timeMs: number, behaviour: string][];
}

/** Event times of the earliest and the latest identify or alias that said a link; 0 if only an older version heard them. */
export interface SaidTimes {
  saidFromMs: number;
  saidToMs: number;
}

/** A visitor's link in force. */
export interface VisitorLink extends SaidTimes {
  id: string;
  user: string;
  /** The later of the visitor's watermark at its record, and of the record's time. */
  sinceMs: number;
  /** The visitor's stage as it was said last. */
  stage: LifecycleStage | null;
}

export interface PastLink extends SaidTimes {
  id: string;
  user: string;
  how: 'superseded' | 'revoked' | 'expired';
}

/** A visitor's side of its links; null for who never had one. */
export interface VisitorLinks {
  current: VisitorLink | null;
  /** The link that owns what came before it; '' if none does. */
  history: string;
  /** The last ones, oldest first. */
  past: PastLink[];
  /** The offset from which on this visitor is a new one; 0 if it always was. */
  bornOffset: number;
  /** How many links since then have ended and leave what they brought with their users: no later one owns what came before it. */
  standing: number;
}

export interface Buyer extends BuyerHistory {
  key: string;
  /** Remembered message ids of applied records, as (hash, event time) pairs in order of arrival, flat. */
  ids: number[];
  /** Mapped behaviours within the longest funnel window + lateness, sorted by event time; ties in order of arrival. */
  behaviours: RememberedBehaviour[];
  /** How many of `behaviours` (from the front) are in the funnels' settled automata. */
  settledCount: number;
  funnels: BuyerFunnel[];
  /** The event days (UTC, days since epoch) on which the buyer was counted as a visitor and is still in a held window. */
  visitDays: number[];
  stage: LifecycleStage | null;
  stageSinceMs: number;
  maturedMs: number;
  opportunities: OpenOpportunity[];
  /** When the buyer's timer in the partition's queue goes off; 0 if none. It may go off early and is then set again. */
  timerMs: number;
  /** A cap of `settings` cut something. */
  overflow: boolean;
  links: VisitorLinks | null;
  /** Empty if nothing came by a link that is still kept apart; else number 0 first, in ascending order. */
  parts: BuyerPart[];
  /** The number that the next part gets; above 1 if there ever was one. */
  nextPart: number;
  arriving: ArrivingHistory[];
}

export function newHistory(): BuyerHistory {
  return {
    firstMs: 0,
    lastMs: 0,
    country: null,
    industry: null,
    channel: null,
    level: null,
    company: null,
    engagement: [],
    totals: [],
    exposures: [],
  };
}

/** One for all: of who has no links, and that is nearly everybody, neither list of a funnel ever has anything in it. */
const NONE: readonly never[] = Object.freeze([]);

/** A buyer's state in a funnel, without anything that comes by links. */
export function newFunnel(
  id: string,
  revision: number,
  counted: number,
  settled: FunnelProgress,
): BuyerFunnel {
  return { id, revision, counted, settled, reached: NONE, early: NONE, backfilled: false };
}

/** Every field in the order in which `decodeBuyer` reads it: so all buyers have one shape, whatever made them. */
export function newBuyer(key: string): Buyer {
  return {
    key,
    firstMs: 0,
    lastMs: 0,
    country: null,
    industry: null,
    channel: null,
    level: null,
    company: null,
    ids: [],
    behaviours: [],
    settledCount: 0,
    funnels: [],
    engagement: [],
    totals: [],
    visitDays: [],
    stage: null,
    stageSinceMs: 0,
    maturedMs: 0,
    opportunities: [],
    exposures: [],
    timerMs: 0,
    overflow: false,
    links: null,
    parts: [],
    nextPart: 1,
    arriving: [],
  };
}

/** The cell a buyer's counts go to. */
export interface Segment {
  readonly country: string;
  readonly industry: string;
  readonly channel: string;
}

export function segmentOf(buyer: Buyer): Segment {
  return {
    country: buyer.country?.value ?? UNKNOWN.country,
    industry: buyer.industry?.value ?? UNKNOWN.industry,
    channel: buyer.channel?.value ?? UNKNOWN.channel,
  };
}

/** `country|industry|channel`, the name of a cell in a window. */
export function cellOf(segment: Segment): string {
  return `${segment.country}|${segment.industry}|${segment.channel}`;
}
