-- How much of each source was turned away, by reason.
-- Parameters: source ('' for all), from and to (to exclusive), limit.
SELECT source, reason, count() AS rejects, toUnixTimestamp64Milli(max(at)) AS last_ms
FROM rejects FINAL
WHERE at >= {from:DateTime64(3, 'UTC')}
  AND at < {to:DateTime64(3, 'UTC')}
  AND ({source:String} = '' OR source = {source:String})
GROUP BY source, reason
ORDER BY rejects DESC, source, reason
LIMIT {limit:UInt32}
