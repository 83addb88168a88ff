-- Event tables take repeats: ReplacingMergeTree over the record's key, event time and position, read with FINAL.
-- Statements are separated by a line of four dashes; the database is chosen by the connection.

CREATE TABLE IF NOT EXISTS events
(
    key           String,
    time          DateTime64(3, 'UTC'),
    generation    UInt16,
    partition     UInt16,
    offset        UInt64,
    kind          LowCardinality(String),
    event         String,
    behaviour     LowCardinality(String),
    verdict       LowCardinality(String),
    message_id    String,
    user_id       String,
    anonymous_id  String,
    country       LowCardinality(String),
    industry      LowCardinality(String),
    channel       LowCardinality(String),
    level         LowCardinality(String),
    source        LowCardinality(String),
    received_at   DateTime64(3, 'UTC'),
    appended_at   DateTime64(3, 'UTC'),
    record        String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (key, time, generation, partition, offset);
----
-- Identify, alias and group as they were said; what they link comes from here.
CREATE TABLE IF NOT EXISTS links
(
    key           String,
    time          DateTime64(3, 'UTC'),
    generation    UInt16,
    partition     UInt16,
    offset        UInt64,
    kind          LowCardinality(String),
    message_id    String,
    user_id       String,
    anonymous_id  String,
    previous_id   String,
    group_id      String,
    traits        String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (key, time, generation, partition, offset);
----
CREATE TABLE IF NOT EXISTS rejects
(
    source_topic     LowCardinality(String),
    source_partition Int32,
    source_offset    UInt64,
    source_id        String,
    at               DateTime64(3, 'UTC'),
    reason           LowCardinality(String),
    detail           String,
    route            LowCardinality(String),
    raw              String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (source_topic, source_partition, source_id, source_offset);
----
CREATE TABLE IF NOT EXISTS transitions
(
    key        String,
    time       DateTime64(3, 'UTC'),
    generation UInt16,
    partition  UInt16,
    offset     UInt64,
    ordinal    UInt32,
    from_stage LowCardinality(String),
    to_stage   LowCardinality(String),
    reason     LowCardinality(String),
    revision   UInt32
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (key, time, generation, partition, offset, ordinal);
----
-- One row a change; the latest of an opportunity is argMax(…, (generation, partition, offset, ordinal)).
CREATE TABLE IF NOT EXISTS opportunities
(
    key            String,
    time           DateTime64(3, 'UTC'),
    generation     UInt16,
    partition      UInt16,
    offset         UInt64,
    ordinal        UInt32,
    opportunity_id String,
    change         LowCardinality(String),
    subject        String,
    stage          LowCardinality(String),
    opened_at      DateTime64(3, 'UTC'),
    quality        Float64,
    qualified      UInt8,
    country        LowCardinality(String),
    industry       LowCardinality(String),
    channel        LowCardinality(String),
    level          LowCardinality(String),
    revision       UInt32
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (key, time, generation, partition, offset, ordinal);
----
CREATE TABLE IF NOT EXISTS exposures
(
    key        String,
    time       DateTime64(3, 'UTC'),
    generation UInt16,
    partition  UInt16,
    offset     UInt64,
    ordinal    UInt32,
    message_id String,
    experiment LowCardinality(String),
    revision   UInt32,
    variant    LowCardinality(String),
    reason     LowCardinality(String)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (key, time, generation, partition, offset, ordinal);
----
-- `status` is created, acknowledged or expired: one row each, the trigger's id names them all.
CREATE TABLE IF NOT EXISTS triggers
(
    key        String,
    time       DateTime64(3, 'UTC'),
    generation UInt16,
    partition  UInt16,
    offset     UInt64,
    ordinal    UInt32,
    trigger_id String,
    status     LowCardinality(String),
    definition LowCardinality(String),
    revision   UInt32,
    kind       LowCardinality(String),
    from_stage LowCardinality(String),
    to_stage   LowCardinality(String),
    data       String
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (key, time, generation, partition, offset, ordinal);
----
-- Every report and notice, with what it came to.
CREATE TABLE IF NOT EXISTS spend
(
    account      String,
    time         DateTime64(3, 'UTC'),
    generation   UInt16,
    partition    UInt16,
    offset       UInt64,
    ordinal      UInt32,
    kind         LowCardinality(String),
    verdict      LowCardinality(String),
    message_id   String,
    campaign     String,
    channel      LowCardinality(String),
    country      LowCardinality(String),
    period       LowCardinality(String),
    as_of        DateTime64(3, 'UTC'),
    bid          String,
    lease        String,
    impressions  UInt64,
    clicks       UInt64,
    cost_micros  Int64,
    currency     LowCardinality(String)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (account, time, generation, partition, offset, ordinal);
----
CREATE TABLE IF NOT EXISTS leases
(
    account        String,
    time           DateTime64(3, 'UTC'),
    generation     UInt16,
    partition      UInt16,
    offset         UInt64,
    ordinal        UInt32,
    lease          String,
    process        String,
    status         LowCardinality(String),
    amount_micros  Int64,
    until          DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (account, time, generation, partition, offset, ordinal);
----
-- The audit trail: when a definition came into force in each partition.
CREATE TABLE IF NOT EXISTS definitions
(
    type       LowCardinality(String),
    id         String,
    revision   UInt32,
    time       DateTime64(3, 'UTC'),
    topic      LowCardinality(String),
    generation UInt16,
    partition  UInt16,
    offset     UInt64,
    ordinal    UInt32,
    hash       String,
    document   String,
    changed_by String,
    why        String
)
ENGINE = ReplacingMergeTree
ORDER BY (type, id, revision, topic, generation, partition, offset, ordinal);
----
-- Aggregates are absolute values, one row a (series, revision, bucket, cell, partition), versioned by the position reached.
-- version = next offset × 2^22 + timers fired before it (a function of the log alone).
CREATE TABLE IF NOT EXISTS funnel_hours
(
    funnel     LowCardinality(String),
    revision   UInt32,
    hour       DateTime('UTC'),
    country    LowCardinality(String),
    industry   LowCardinality(String),
    channel    LowCardinality(String),
    generation UInt16,
    partition  UInt16,
    steps      Array(UInt64),
    version    UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (funnel, revision, hour, country, industry, channel, generation, partition);
----
CREATE TABLE IF NOT EXISTS north_star_days
(
    day                   Date,
    country               LowCardinality(String),
    industry              LowCardinality(String),
    channel               LowCardinality(String),
    generation            UInt16,
    partition             UInt16,
    visitors              UInt64,
    opportunities         UInt64,
    quality_opportunities UInt64,
    version               UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (day, country, industry, channel, generation, partition);
----
CREATE TABLE IF NOT EXISTS campaign_hours
(
    campaign    String,
    account     String,
    hour        DateTime('UTC'),
    country     LowCardinality(String),
    channel     LowCardinality(String),
    generation  UInt16,
    partition   UInt16,
    impressions UInt64,
    clicks      UInt64,
    cost_micros Int64,
    version     UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (campaign, account, hour, country, channel, generation, partition);
