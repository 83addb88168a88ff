// What a feed is made of: messages of the Segment spec and rows of spend, in order of arrival.
// The marketplace and every reader of a data set give these; `cli/feed` sends them to the collect API.

export interface SegmentMessage {
  readonly type: 'track' | 'page' | 'identify' | 'group' | 'alias';
  readonly messageId: string;
  readonly userId?: string;
  readonly anonymousId?: string;
  readonly groupId?: string;
  readonly previousId?: string;
  readonly event?: string;
  readonly name?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly traits?: Readonly<Record<string, unknown>>;
  readonly context?: Readonly<Record<string, unknown>>;
  /** Event time, ISO 8601. */
  readonly timestamp: string;
  /** Arrival, ISO 8601; taken only from a secret key. */
  readonly receivedAt: string;
}

/** A fault that was put in on purpose. `delayed` comes within ten minutes, `late` after more. */
export type Planted = 'duplicate' | 'delayed' | 'late' | 'invalid';

/** A message on its way. An invalid one is anything that JSON can say. */
export interface FeedMessage {
  readonly to: 'events';
  /** The buyer's key (`u:…` or `a:…`), by which arrival order is kept; '' where an invalid message names nobody. */
  readonly key: string;
  readonly arrivalMs: number;
  /** Place of its last row in the file that it was read from; absent for what was simulated. */
  readonly fileRow?: number;
  readonly message: SegmentMessage | Readonly<Record<string, unknown>>;
  readonly planted?: Planted;
}

/** Absolute figures for one cell; a later `asOf` replaces an earlier one. */
export interface SpendReport {
  readonly kind: 'report';
  readonly messageId: string;
  readonly campaign: string;
  readonly channel: string;
  /** ISO 3166-1 alpha-2; '' for all countries together. */
  readonly country: string;
  readonly period: 'hour' | 'day';
  readonly periodStartMs: number;
  readonly impressions: number;
  readonly clicks: number;
  readonly costMicros: number;
  readonly currency: string;
  readonly asOfMs: number;
}

/** One win, with what it cost, or one impression or click, which cost nothing more. */
export interface SpendNotice {
  readonly kind: 'notice';
  readonly messageId: string;
  readonly notice: 'win' | 'impression' | 'click';
  readonly campaign: string;
  readonly channel: string;
  readonly country: string;
  readonly bid: string;
  readonly costMicros: number;
  readonly currency: string;
  readonly timeMs: number;
}

export interface FeedSpend {
  readonly to: 'spend';
  readonly account: string;
  readonly arrivalMs: number;
  /** Place in the file that it was read from; absent for what was simulated. */
  readonly fileRow?: number;
  readonly row: SpendReport | SpendNotice;
}

/** A variant that a buyer was shown, in a data set of an experiment. */
export interface FeedExposure {
  readonly to: 'exposures';
  /** The buyer's key, `u:…`. */
  readonly key: string;
  readonly arrivalMs: number;
  /** Place in the file that it was read from. */
  readonly fileRow?: number;
  readonly row: {
    readonly messageId: string;
    readonly experiment: string;
    readonly variant: string;
    readonly timeMs: number;
  };
}

export type FeedItem = FeedMessage | FeedSpend | FeedExposure;

/** A definition that a data set needs and that no file of the project holds: accounts, campaigns, funnels, experiments. */
export interface FeedDefinition {
  readonly type: 'account' | 'campaign' | 'funnel' | 'experiment';
  readonly id: string;
  readonly document: Readonly<Record<string, unknown>>;
}
