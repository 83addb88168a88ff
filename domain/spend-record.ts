// What platforms report, what single bids come to, and who asks for money to bid with: the topic `spend`.
import { z } from 'zod';
import { count, country, currency, epochMs, id, micros } from './record-fields.ts';

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
  /** Its leases that it will never bid from again: what no bid has set aside of each is free again. */
  returns: z
    .array(z.object({ lease: id, amountMicros: micros }))
    .max(16)
    .optional(),
  timestamp: epochMs,
});
export type LeaseRequestRecord = z.infer<typeof leaseRequestRecord>;
