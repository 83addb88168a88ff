-- The best opportunities of a period that are still open: highest quality first, then the latest.
-- Parameters: generation, from and to (opening time, to exclusive), limit.
SELECT
    opportunity_id AS id,
    any(key) AS key,
    argMax(subject, (partition, offset, ordinal)) AS subject,
    argMax(stage, (partition, offset, ordinal)) AS stage,
    argMax(quality, (partition, offset, ordinal)) AS quality,
    argMax(qualified, (partition, offset, ordinal)) AS qualified,
    toUnixTimestamp64Milli(any(opened_at)) AS opened_ms,
    toUnixTimestamp64Milli(max(time)) AS changed_ms,
    argMax(country, (partition, offset, ordinal)) AS country,
    argMax(industry, (partition, offset, ordinal)) AS industry,
    argMax(channel, (partition, offset, ordinal)) AS channel,
    argMax(level, (partition, offset, ordinal)) AS level
FROM opportunities FINAL
WHERE generation = {generation:UInt16}
  AND opened_at >= {from:DateTime64(3, 'UTC')}
  AND opened_at < {to:DateTime64(3, 'UTC')}
GROUP BY opportunity_id
HAVING argMax(change, (partition, offset, ordinal)) NOT IN ('fulfilled', 'completed', 'lost', 'evicted', 'moved', 'revoked')
ORDER BY quality DESC, opened_ms DESC, id
LIMIT {limit:UInt32}
