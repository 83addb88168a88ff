// What may wait for ClickHouse and Kafka: beyond any of these bounds `flywheel status` calls a partition unhealthy.
// At the first three its owner folds nothing more.

/** Committed batches that are not yet delivered. */
export const UNDELIVERED_BATCHES_MAX = 2_000;
/** Records of those batches, or what their timers came to, where that is more. */
export const UNDELIVERED_RECORDS_MAX = 32_000;
/** Bytes of those records, and of what their commits keep: 32,000 of half a kilobyte, which is what events have as a rule. */
export const UNDELIVERED_BYTES_MAX = 16 * 1024 * 1024;
/** How long the oldest of them may wait. Inserts are under way within a second, and slow ones take a few. */
export const UNDELIVERED_MS_MAX = 30_000;
