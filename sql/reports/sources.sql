-- What came by each write key: verdicts, freshness, delay between event and receipt. One row a source, the largest first.
-- Parameters: generation, sources (none for all), from and to (receipt, to exclusive), limit.
-- Events of more than a week before their receipt are history that somebody sent late: they are left out, each by its own receipt, so
-- that no figure depends on where the period begins. The first bound of `time` is for the table's months, of which no more are read.
SELECT
    source,
    count() AS events,
    countIf(verdict = 'applied') AS applied,
    countIf(verdict = 'late') AS late,
    countIf(verdict = 'duplicate') AS duplicate,
    toUnixTimestamp64Milli(max(time)) AS last_event_ms,
    toUnixTimestamp64Milli(max(received_at)) AS last_received_ms,
    quantiles(0.5, 0.95)(greatest(0, dateDiff('millisecond', time, received_at))) AS delays
FROM events FINAL
WHERE generation = {generation:UInt16}
  AND time >= {from:DateTime64(3, 'UTC')} - INTERVAL 7 DAY
  AND time >= received_at - INTERVAL 7 DAY
  AND received_at >= {from:DateTime64(3, 'UTC')}
  AND received_at < {to:DateTime64(3, 'UTC')}
  AND (empty({sources:Array(String)}) OR has({sources:Array(String)}, source))
GROUP BY source
ORDER BY events DESC, source
LIMIT {limit:UInt32}
