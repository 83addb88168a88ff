-- What became of links (`from_offset`: the offset of the visitor's partition from which on its records belong to the user): `linked`, `superseded`, `revoked`, `expired` under the visitor's key, `merged`, `dropped`, `inseparable` under the user's.
CREATE TABLE IF NOT EXISTS identities
(
    key        String,
    time       DateTime64(3, 'UTC'),
    generation UInt16,
    partition  UInt16,
    offset     UInt64,
    ordinal    UInt32,
    link       String,
    visitor    String,
    user       String,
    change     LowCardinality(String),
    from_offset UInt64,
    message_id String,
    changed_by String,
    why        String
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (key, time, generation, partition, offset, ordinal);
----
-- Counts whose bucket was closed before they came: to be summed beside funnel_hours and north_star_days.
CREATE TABLE IF NOT EXISTS adjustments
(
    series     LowCardinality(String),
    revision   UInt32,
    start      DateTime('UTC'),
    generation UInt16,
    partition  UInt16,
    offset     UInt64,
    ordinal    UInt32,
    country    LowCardinality(String),
    industry   LowCardinality(String),
    channel    LowCardinality(String),
    `column`   UInt8,
    amount     UInt32
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(start)
ORDER BY (series, revision, start, generation, partition, offset, ordinal);
----
-- The spans of offsets in which a visitor's records belong to a user; links that were revoked are left out.
CREATE VIEW IF NOT EXISTS link_spans AS
SELECT
    key,
    generation,
    link,
    anyIf(user, change = 'linked') AS user,
    minIf(identities.from_offset, change = 'linked') AS from_offset,
    minIf(offset, change IN ('superseded', 'expired')) AS ended_offset,
    if(countIf(change IN ('superseded', 'expired')) = 0, 18446744073709551615, ended_offset) AS to_offset
FROM identities FINAL
WHERE change IN ('linked', 'superseded', 'expired', 'revoked')
GROUP BY key, generation, link
HAVING countIf(change = 'revoked') = 0;
----
-- Every row of `events` with the key of its person as it is known now.
CREATE VIEW IF NOT EXISTS event_people AS
SELECT
    e.key AS key,
    e.time AS time,
    e.generation AS generation,
    e.partition AS partition,
    e.offset AS offset,
    e.kind AS kind,
    e.event AS event,
    e.behaviour AS behaviour,
    e.verdict AS verdict,
    e.message_id AS message_id,
    e.country AS country,
    e.industry AS industry,
    e.channel AS channel,
    e.level AS level,
    e.record AS record,
    if(l.user != '' AND e.offset < l.to_offset, l.user, e.key) AS person
FROM (SELECT * FROM events FINAL) AS e
ASOF LEFT JOIN link_spans AS l ON e.key = l.key AND e.generation = l.generation AND e.offset >= l.from_offset;
