-- Lifecycle transitions and moments of opportunities in a period: how many of each could have been a trigger. What a link changed
-- is told to nobody.
-- Parameters: generation, from and to (event time, to exclusive).
SELECT 'transition' AS source, toString(to_stage) AS moment, count() AS count
FROM transitions FINAL
WHERE generation = {generation:UInt16} AND time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
  AND reason NOT IN ('merged', 'unlinked', 'revoked')
GROUP BY moment
UNION ALL
SELECT 'opportunity' AS source, toString(change) AS moment, count() AS count
FROM opportunities FINAL
WHERE generation = {generation:UInt16} AND time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
GROUP BY moment
