// The records of the log: what may stand in the topics `events`, `spend` and `events.rejected`.
// Everything is validated against these schemas once, when it is decoded; inside, the types are trusted.
import { z } from 'zod';

/** Epoch milliseconds, after 1990-01-01 and before 2100-01-01: anything else is an absurd time. */
export const epochMs = z.int().min(631_152_000_000).max(4_102_444_800_000);
const id = z.string().min(1).max(256);
const properties = z.record(z.string(), z.unknown());
const currency = z.string().regex(/^[A-Z]{3}$/);
const micros = z.int().min(0).max(9_000_000_000_000_000);
const count = z.int().min(0).max(1_000_000_000_000);
const country = z.string().regex(/^[A-Z]{2}$/);

export const segmentKinds = ['track', 'page', 'screen', 'identify', 'group', 'alias'] as const;
export type SegmentKind = (typeof segmentKinds)[number];

/** A message of the Segment spec as collect puts it into the log: times are resolved, the source is named. */
export const segmentRecord = z.object({
  kind: z.enum(segmentKinds),
  messageId: id,
  userId: id.optional(),
  anonymousId: id.optional(),
  /** `track`: the event's name; `page` and `screen`: the page's name, if it has one. */
  event: z.string().max(256).optional(),
  groupId: id.optional(),
  previousId: id.optional(),
  properties: properties.optional(),
  traits: properties.optional(),
  context: properties.optional(),
  /** Event time, corrected for the client's clock by `sentAt`. */
  timestamp: epochMs,
  receivedAt: epochMs,
  /** Present where a secret key supplied `receivedAt` (a replay). */
  supplied: z.literal(true).optional(),
  /** The name of the write key that it came by. */
  source: z.string().max(64).optional(),
});
export type SegmentRecord = z.infer<typeof segmentRecord>;

/** An experiment's variant that a buyer was shown. */
export const exposureRecord = z.object({
  kind: z.literal('exposure'),
  messageId: id,
  key: id,
  experiment: id,
  revision: z.int().min(1),
  variant: id,
  reason: z.string().max(64),
  timestamp: epochMs,
});
export type ExposureRecord = z.infer<typeof exposureRecord>;

/** A receiver's word that it has a trigger. */
export const receiptRecord = z.object({
  kind: z.literal('receipt'),
  messageId: id,
  key: id,
  trigger: id,
  timestamp: epochMs,
});
export type ReceiptRecord = z.infer<typeof receiptRecord>;

/** The log's clock: raises the watermark to `time`, as a maximum. */
export const clockRecord = z.object({
  kind: z.literal('clock'),
  time: epochMs,
  supplied: z.literal(true).optional(),
});
export type ClockRecord = z.infer<typeof clockRecord>;

/**
 * Where a record that an outbox wrote comes from: the position in `events` of what caused it. The receiving partition
 * keeps the highest one of each source partition and drops what is not above it.
 */
export const originSchema = z.object({
  generation: z.int().min(0),
  partition: z.int().min(0),
  offset: z.int().min(0),
  ordinal: z.int().min(0),
});
export type Origin = z.infer<typeof originSchema>;

const visitorKey = z.string().regex(/^a:./su).max(258);
const userKey = z.string().regex(/^u:./su).max(258);
const companyKey = z.string().regex(/^c:./su).max(258);
/** `<partition>-<offset>-<anonymousId>` of the link record at the visitor's owner. */
const linkId = z.string().min(5).max(300);

/** The user's owner asks the visitor's owner for the visitor: somebody identified, or said an alias. */
export const linkRecord = z.object({
  kind: z.literal('link'),
  origin: originSchema,
  /** The visitor's key. */
  key: visitorKey,
  user: userKey,
  cause: z.enum(['identify', 'alias']),
  /** Of the identify or alias. */
  messageId: id,
  timestamp: epochMs,
});
export type LinkRecord = z.infer<typeof linkRecord>;

/** Somebody takes a link back; written by the API under the visitor's key. */
export const revokeRecord = z.object({
  kind: z.literal('revoke'),
  messageId: id,
  key: visitorKey,
  link: linkId,
  by: z.string().max(128),
  why: z.string().max(1024),
  timestamp: epochMs,
});
export type RevokeRecord = z.infer<typeof revokeRecord>;

const stamped = z.object({ value: z.string(), timeMs: epochMs, messageId: id }).nullable();
const buyerTime = z.int().min(0).max(4_102_444_800_000);

/** What a visitor's owner hands over beside the behaviours. All empty if the link does not own the history. */
export const mergeBase = z.object({
  history: z.boolean(),
  firstMs: buyerTime,
  lastMs: buyerTime,
  country: stamped,
  industry: stamped,
  channel: stamped,
  level: stamped,
  company: stamped,
  engagement: z.array(
    z.object({
      halfLifeMs: z.int().min(0),
      referenceMs: z.int().min(0),
      sums: z.array(z.object({ behaviour: z.string(), sum: z.number() })),
    }),
  ),
  totals: z.array(z.object({ behaviour: z.string(), count: z.int().min(0) })),
  visitDays: z.array(z.int()),
  stage: z.enum(['new', 'mature', 'retained', 'churned']).nullable(),
  maturedMs: buyerTime,
  opportunities: z.array(
    z.object({
      subject: z.string(),
      stage: z.enum(['contact', 'inquiry', 'order']),
      openedMs: epochMs,
      updatedMs: epochMs,
      quality: z.number().min(0).max(1),
      qualified: z.boolean(),
    }),
  ),
  exposures: z.array(z.object({ experiment: id, variant: id, timeMs: epochMs, messageId: id })),
  /** Funnel steps that were counted for the visitor: they are not counted again for the user. */
  counted: z.array(z.object({ funnel: id, revision: z.int().min(1), level: z.int().min(0).max(12) })),
  overflow: z.boolean(),
});
export type MergeBase = z.infer<typeof mergeBase>;

/** A piece of a visitor's history on its way to the user's owner; applied when the last one is there. */
export const mergeRecord = z.object({
  kind: z.literal('merge'),
  origin: originSchema,
  /** The user's key. */
  key: userKey,
  link: linkId,
  visitor: visitorKey,
  /** Counted from 0; chunk 0 alone has the base. */
  chunk: z.int().min(0).max(100_000),
  chunks: z.int().min(1).max(100_000),
  base: mergeBase.optional(),
  /** Behaviours that the visitor's owner still holds: event time and name, ascending. */
  behaviours: z.array(z.tuple([epochMs, z.string()])),
});
export type MergeRecord = z.infer<typeof mergeRecord>;

/** What the visitor of a link in force did or was shown, applied at the visitor's owner: it is not judged again. */
export const forwardRecord = z.object({
  kind: z.literal('forward'),
  origin: originSchema,
  /** The user's key. */
  key: userKey,
  link: linkId,
  visitor: visitorKey,
  /** When the record itself was appended. */
  appendMs: epochMs,
  /** As the visitor's owner mapped it; '' if to none. */
  behaviour: z.string(),
  record: z.union([segmentRecord, exposureRecord]),
});
export type ForwardRecord = z.infer<typeof forwardRecord>;

/** The visitor's owner tells the user's owner that a link is no longer in force. Only `revoked` takes back what came by it. */
export const linkEndedRecord = z.object({
  kind: z.literal('linkEnded'),
  origin: originSchema,
  /** The user's key. */
  key: userKey,
  link: linkId,
  visitor: visitorKey,
  how: z.enum(['superseded', 'revoked', 'expired']),
});
export type LinkEndedRecord = z.infer<typeof linkEndedRecord>;

/** What a member of a company did, for the company's own record. */
export const memberRecord = z.object({
  kind: z.literal('member'),
  origin: originSchema,
  /** The company's key. */
  key: companyKey,
  member: id,
  messageId: id,
  timestamp: epochMs,
  /** '' for a `group` call, which brings `attributes`. */
  behaviour: z.string(),
  /** As the traits of a `group` call state them. */
  attributes: z.object({ country: z.string(), industry: z.string(), level: z.string() }).partial().optional(),
});
export type MemberRecord = z.infer<typeof memberRecord>;

const level = z.int().min(0).max(12);
/** Event time, behaviour, and the link that it came by ('' for the buyer's own). */
const pastBehaviour = z.tuple([epochMs, z.string(), z.string().max(300)]);

/**
 * What a buyer did before a funnel's record, as the funnel would have seen it; written by `jobs` from ClickHouse, folded
 * once per revision and key (docs/decisions/definitions.md).
 */
export const backfillRecord = z.object({
  kind: z.literal('backfill'),
  key: z
    .string()
    .regex(/^[ua]:./su)
    .max(258),
  funnel: id,
  revision: z.int().min(1),
  /** Steps that would have been counted at this key: step (from 0), event time and cell. */
  counts: z.array(z.tuple([z.int().min(0).max(11), epochMs, z.string().max(256)])),
  /** The level that would have been counted, and that before the link in force made a visitor silent. */
  level,
  spoken: level,
  /** The levels that would stand, each with the links that it needs. */
  levels: z.array(z.object({ level, links: z.array(linkId) })),
  /** The automaton after all that is before this time. */
  settled: z.array(z.int().min(0)),
  settledBeforeMs: buyerTime,
  /** What would be held, ascending. */
  behaviours: z.array(pastBehaviour),
  /** A visitor's link in force at the funnel's record, '' if there was none; and whether its user gets this by its own record. */
  link: z.string().max(300),
  merged: z.boolean(),
  /** The number that the user's next part had at the record: what was merged since has this or a higher one. */
  nextPart: z.int().min(1),
});
export type BackfillRecord = z.infer<typeof backfillRecord>;

/** A past that came to a visitor whose history its user has already: sent on by the visitor's owner. */
export const pastRecord = z.object({
  kind: z.literal('past'),
  origin: originSchema,
  /** The user's key. */
  key: userKey,
  link: linkId,
  visitor: visitorKey,
  funnel: id,
  revision: z.int().min(1),
  level,
  behaviours: z.array(z.tuple([epochMs, z.string()])),
});
export type PastRecord = z.infer<typeof pastRecord>;

/** What outboxes write into `events` for other partitions, or for their own. */
export type DerivedRecord =
  | LinkRecord
  | MergeRecord
  | ForwardRecord
  | LinkEndedRecord
  | MemberRecord
  | PastRecord;

/** A definition that comes into force at this record, in this partition. `document` null withdraws it. */
export const definitionRecord = z.object({
  kind: z.literal('definition'),
  type: z.string().min(1).max(32),
  id,
  revision: z.int().min(1),
  hash: z.string().length(64),
  previousHash: z.string().length(64).nullable(),
  document: properties.nullable(),
  by: z.string().max(128),
  why: z.string().max(1024),
  at: epochMs,
});
export type DefinitionRecord = z.infer<typeof definitionRecord>;

/** A platform's absolute figures for one cell: campaign × period × country × channel ('' = all). */
export const reportRecord = z.object({
  kind: z.literal('report'),
  messageId: id,
  account: id,
  campaign: id,
  channel: z.string().max(64),
  country: z.union([z.literal(''), country]),
  /** Start of the hour or day (in the account's own day) that the figures are for. */
  periodStart: epochMs,
  period: z.enum(['hour', 'day']),
  impressions: count,
  clicks: count,
  costMicros: micros,
  currency,
  /** Up to when the platform had counted. A later `asOf` for the same cell replaces an earlier one. */
  asOf: epochMs,
  receivedAt: epochMs,
  supplied: z.literal(true).optional(),
});
export type ReportRecord = z.infer<typeof reportRecord>;

/** One impression, click, win or loss. `bid` makes it unique with `notice`; `lease` is there for bids that we placed. */
export const noticeRecord = z.object({
  kind: z.literal('notice'),
  messageId: id,
  notice: z.enum(['impression', 'click', 'win', 'loss']),
  account: id,
  campaign: id,
  channel: z.string().max(64),
  country: z.union([z.literal(''), country]),
  bid: id,
  lease: id.optional(),
  /** What it cost. For a loss without `heldMicros`: what the bid had set aside of its lease, which is free again. */
  costMicros: micros,
  /** What the bid had set aside of its lease: free again with a loss; with a win, what it did not cost. */
  heldMicros: micros.optional(),
  currency,
  timestamp: epochMs,
  receivedAt: epochMs,
  supplied: z.literal(true).optional(),
});
export type NoticeRecord = z.infer<typeof noticeRecord>;

/** A `serve` process asks its account's owner for money to bid with. */
export const leaseRequestRecord = z.object({
  kind: z.literal('leaseRequest'),
  lease: id,
  account: id,
  process: id,
  amountMicros: micros,
  /** Requests of the same process whose answer it never took and never will: what they were granted is free again. */
  voids: z.array(id).max(16).optional(),
  timestamp: epochMs,
});
export type LeaseRequestRecord = z.infer<typeof leaseRequestRecord>;

export const eventsTopicRecord = z.discriminatedUnion('kind', [
  segmentRecord.extend({ kind: z.literal('track') }),
  segmentRecord.extend({ kind: z.literal('page') }),
  segmentRecord.extend({ kind: z.literal('screen') }),
  segmentRecord.extend({ kind: z.literal('identify') }),
  segmentRecord.extend({ kind: z.literal('group') }),
  segmentRecord.extend({ kind: z.literal('alias') }),
  exposureRecord,
  receiptRecord,
  clockRecord,
  definitionRecord,
  linkRecord,
  revokeRecord,
  mergeRecord,
  forwardRecord,
  linkEndedRecord,
  memberRecord,
  backfillRecord,
  pastRecord,
]);
export type EventsTopicRecord =
  | SegmentRecord
  | ExposureRecord
  | ReceiptRecord
  | RevokeRecord
  | BackfillRecord
  | DerivedRecord
  | ClockRecord
  | DefinitionRecord;

export type SpendTopicRecord =
  | ReportRecord
  | NoticeRecord
  | LeaseRequestRecord
  | ClockRecord
  | DefinitionRecord;

/** What could not be taken, with its reason. `raw` is base64 of the bytes as they came. */
export const rejectedRecord = z.object({
  kind: z.literal('rejected'),
  /** `events` or `spend` for a record of the log, `collect` for what the API turned away. */
  sourceTopic: z.string().max(64),
  sourcePartition: z.int().min(-1),
  /** The offset in the log; for `collect` the place in its request. */
  sourceOffset: z.int().min(0),
  /** Empty for a record of the log; for `collect` the request's id. */
  sourceId: z.string().max(256),
  /** The route by which `flywheel replay rejected` submits it again; empty for a record of the log. */
  route: z.string().max(128),
  /** The name of the write key that it came by; empty if nothing says it, absent in what older versions wrote. */
  source: z.string().max(64).optional(),
  reason: z.string().max(64),
  detail: z.string().max(2048),
  raw: z.string(),
  at: epochMs,
});
export type RejectedRecord = z.infer<typeof rejectedRecord>;

/** What a record came to. `control` records (all but what is collected and spent) are not judged. */
export type Verdict = 'applied' | 'late' | 'duplicate' | 'rejected' | 'control';

/** The partition key of a collected record: the user if it names one, else the visitor. Never looked up. */
export function buyerKeyOf(record: {
  userId?: string | undefined;
  anonymousId?: string | undefined;
}): string {
  return record.userId === undefined ? `a:${record.anonymousId}` : `u:${record.userId}`;
}
