-- The rhythm of each source: its active hours of receipt (UTC), the largest sources only.
-- Parameters: generation, from and to (receipt, to exclusive), sources (how many).
WITH largest AS
(
    SELECT source
    FROM events
    WHERE generation = {generation:UInt16}
      AND time >= {from:DateTime64(3, 'UTC')} - INTERVAL 7 DAY
      AND received_at >= {from:DateTime64(3, 'UTC')}
      AND received_at < {to:DateTime64(3, 'UTC')}
    GROUP BY source
    ORDER BY count() DESC, source
    LIMIT {sources:UInt32}
)
SELECT
    source,
    toUnixTimestamp(toStartOfHour(received_at, 'UTC')) * 1000 AS start_ms,
    count() AS events,
    uniqExact(toStartOfMinute(received_at)) AS minutes,
    toUnixTimestamp64Milli(min(received_at)) AS first_ms,
    toUnixTimestamp64Milli(max(received_at)) AS last_ms,
    toUnixTimestamp64Milli(max(appended_at)) AS appended_ms
FROM events FINAL
WHERE generation = {generation:UInt16}
  AND time >= {from:DateTime64(3, 'UTC')} - INTERVAL 7 DAY
  AND received_at >= {from:DateTime64(3, 'UTC')}
  AND received_at < {to:DateTime64(3, 'UTC')}
  AND source IN (SELECT source FROM largest)
GROUP BY source, start_ms
ORDER BY source, start_ms
