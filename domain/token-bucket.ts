// A token bucket: so many a second for ever, and a burst at once. Whoever keeps the bucket says what time it is.

export interface BucketPolicy {
  /** Whole tokens that come back in a second. */
  readonly perSecond: number;
  /** Whole tokens that a full bucket holds. */
  readonly burst: number;
}

/** Thousandths of a token, so that whole milliseconds at a whole rate add up exactly. */
export interface Bucket {
  /** Below 0: more was taken at once than the bucket holds, and is still owed. */
  readonly milliTokens: number;
  readonly atMs: number;
}

export type Taking =
  | { readonly taken: true; readonly bucket: Bucket; readonly left: number }
  | { readonly taken: false; readonly waitMs: number };

const MILLI = 1_000;

/** What the bucket holds at `nowMs`; a missing one is full. */
function levelAt(bucket: Bucket | undefined, { perSecond, burst }: BucketPolicy, nowMs: number): number {
  const full = burst * MILLI;
  if (bucket === undefined) return full;
  return Math.min(full, bucket.milliTokens + Math.max(0, nowMs - bucket.atMs) * perSecond);
}

/** How long a bucket that lacks `milliTokens` needs to get them. */
function waitMsFor(milliTokens: number, { perSecond }: BucketPolicy): number {
  return Math.max(0, Math.ceil(milliTokens / perSecond));
}

/**
 * Takes `amount` whole tokens, or says how long until they can be had. More than the burst is given out of a full bucket
 * and owed afterwards: such a batch is not refused for ever, and in the long run nobody gets more than the rate.
 * @param nowMs whole milliseconds of a clock that does not go back
 */
export function take(
  bucket: Bucket | undefined,
  policy: BucketPolicy,
  amount: number,
  nowMs: number,
): Taking {
  const level = levelAt(bucket, policy, nowMs);
  const missing = Math.min(amount, policy.burst) * MILLI - level;
  if (missing > 0) return { taken: false, waitMs: waitMsFor(missing, policy) };
  return { taken: true, ...bucketOf(level - amount * MILLI, nowMs) };
}

function bucketOf(milliTokens: number, atMs: number): { readonly bucket: Bucket; readonly left: number } {
  return { bucket: { milliTokens, atMs }, left: Math.max(0, Math.floor(milliTokens / MILLI)) };
}

/**
 * Undoes a taking of `amount` whole tokens, up to what the bucket holds.
 * @param nowMs whole milliseconds of a clock that does not go back
 */
export function putBack(
  bucket: Bucket,
  policy: BucketPolicy,
  amount: number,
  nowMs: number,
): { readonly bucket: Bucket; readonly left: number } {
  const level = levelAt(bucket, policy, nowMs) + amount * MILLI;
  return bucketOf(Math.min(policy.burst * MILLI, level), nowMs);
}
