// What an owner lets wait for ClickHouse and Kafka: at either bound it folds nothing more, and `flywheel status` calls it unhealthy.

/** Committed batches that are not yet delivered. */
export const UNDELIVERED_BATCHES_MAX = 2_000;
/** Records of those batches. */
export const UNDELIVERED_RECORDS_MAX = 32_000;
