-- Events of one source by hour or day of receipt (UTC), with their verdicts.
-- Parameters: generation, source, from and to (receipt, to exclusive), by ('hour' or 'day'), limit.
-- Events of more than a week before their receipt are left out, as in sources.sql.
SELECT
    toUnixTimestamp(if({by:String} = 'day', toStartOfDay(received_at, 'UTC'), toStartOfHour(received_at, 'UTC'))) AS start_seconds,
    count() AS events,
    countIf(verdict = 'late') AS late,
    countIf(verdict = 'duplicate') AS duplicate
FROM events FINAL
WHERE generation = {generation:UInt16}
  AND time >= {from:DateTime64(3, 'UTC')} - INTERVAL 7 DAY
  AND time >= received_at - INTERVAL 7 DAY
  AND received_at >= {from:DateTime64(3, 'UTC')}
  AND received_at < {to:DateTime64(3, 'UTC')}
  AND source = {source:String}
GROUP BY start_seconds
ORDER BY start_seconds DESC
LIMIT {limit:UInt32}
