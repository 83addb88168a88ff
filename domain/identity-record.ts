// What owners of visitors, users and companies tell each other through the topic `events`, and what makes them (docs/decisions/identity.md).
import { z } from 'zod';
import { exposureRecord, segmentRecord } from './buyer-record.ts';
import { FUNNEL_STEPS_MAX } from './definition.ts';
import { epochMs, id, KEY_CHARACTERS_MAX, key } from './record-fields.ts';

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

const visitorKey = z.string().regex(/^a:./su).max(KEY_CHARACTERS_MAX);
const userKey = z.string().regex(/^u:./su).max(KEY_CHARACTERS_MAX);
const companyKey = z.string().regex(/^c:./su).max(KEY_CHARACTERS_MAX);
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
  counted: z.array(
    z.object({ funnel: id, revision: z.int().min(1), level: z.int().min(0).max(FUNNEL_STEPS_MAX) }),
  ),
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

/** The user's owner tells the visitor's owner that what came by a link that was taken back is the user's own for good. */
export const linkKeptRecord = z.object({
  kind: z.literal('linkKept'),
  origin: originSchema,
  /** The visitor's key. */
  key: visitorKey,
  link: linkId,
  user: userKey,
});
export type LinkKeptRecord = z.infer<typeof linkKeptRecord>;

/** What a member of a company did, for the company's own record. */
export const memberRecord = z.object({
  kind: z.literal('member'),
  origin: originSchema,
  /** The company's key. */
  key: companyKey,
  /** A buyer's key. */
  member: key,
  messageId: id,
  timestamp: epochMs,
  /** '' for a `group` call, which brings `attributes`. */
  behaviour: z.string(),
  /** As the traits of a `group` call state them. */
  attributes: z.object({ country: z.string(), industry: z.string(), level: z.string() }).partial().optional(),
});
export type MemberRecord = z.infer<typeof memberRecord>;

const level = z.int().min(0).max(FUNNEL_STEPS_MAX);
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
    .max(KEY_CHARACTERS_MAX),
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
  | LinkKeptRecord
  | MemberRecord
  | PastRecord;
