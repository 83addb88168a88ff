// What buyers do, are shown and are told, as it stands in the topic `events`.
import { z } from 'zod';
import { epochMs, id, key, properties } from './record-fields.ts';

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
  key,
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
  key,
  trigger: id,
  timestamp: epochMs,
});
export type ReceiptRecord = z.infer<typeof receiptRecord>;

/** The partition key of a collected record: the user if it names one, else the visitor. Never looked up. */
export function buyerKeyOf(record: {
  userId?: string | undefined;
  anonymousId?: string | undefined;
}): string {
  return record.userId === undefined ? `a:${record.anonymousId}` : `u:${record.userId}`;
}
