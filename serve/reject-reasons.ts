// Why what is sent is turned away: stable, for it stands in the answer, in events.rejected and in a metric.

/** All of them; each has its series from the start, so that an alert sees the first burst of it too. */
export const rejectReasons = [
  'malformed',
  'invalid',
  'empty_batch',
  'missing_id',
  'absurd_time',
  'future',
  'misaligned',
  'too_large',
  'negative_money',
  'above_bid',
  'bad_country',
  'unknown_currency',
  'wrong_currency',
  'unknown_account',
  'unknown_campaign',
  'unknown_experiment',
  'unknown_variant',
] as const;

export type RejectReason = (typeof rejectReasons)[number];
