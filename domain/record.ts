// The records of the log: what may stand in the topics `events`, `spend` and `events.rejected`.
// Everything is validated against these schemas once, when it is decoded; inside, the types are trusted.
import { z } from 'zod';
import {
  type ExposureRecord,
  exposureRecord,
  type ReceiptRecord,
  receiptRecord,
  type SegmentRecord,
  segmentRecord,
} from './buyer-record.ts';
import {
  type BackfillRecord,
  backfillRecord,
  type DerivedRecord,
  forwardRecord,
  linkEndedRecord,
  linkKeptRecord,
  linkRecord,
  memberRecord,
  mergeRecord,
  pastRecord,
  type RevokeRecord,
  revokeRecord,
} from './identity-record.ts';
import { epochMs, id, properties } from './record-fields.ts';
import type { LeaseRequestRecord, NoticeRecord, ReportRecord } from './spend-record.ts';

/** The log's clock: raises the watermark to `time`, as a maximum. */
export const clockRecord = z.object({
  kind: z.literal('clock'),
  time: epochMs,
  supplied: z.literal(true).optional(),
});
export type ClockRecord = z.infer<typeof clockRecord>;

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
  linkKeptRecord,
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
  /** Empty for a record of the log; for `collect` the request's id; for one that was to be sent and is too large what caused it. */
  sourceId: z.string().max(256),
  /** The route by which `flywheel replay rejected` submits it again; empty for a record of the log. */
  route: z.string().max(128),
  /** The name of the write key that it came by; empty if nothing says it, absent in what older versions wrote. */
  source: z.string().max(64).optional(),
  /** Whether that key was a secret one, whose `receivedAt` counts; absent where the route takes no others, and in what older versions wrote. */
  trusted: z.boolean().optional(),
  reason: z.string().max(64),
  detail: z.string().max(2048),
  raw: z.string(),
  at: epochMs,
});
export type RejectedRecord = z.infer<typeof rejectedRecord>;

/** What a record came to. `control` records (all but what is collected and spent) are not judged. */
export type Verdict = 'applied' | 'late' | 'duplicate' | 'rejected' | 'control';
