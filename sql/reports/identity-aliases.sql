-- Aliases of a period that name another user's id as the previous one: two users who may be one person. They are not followed.
-- The newest first: a limit cuts the oldest ones.
-- Parameters: generation, from and to (event time, to exclusive), limit.
SELECT
    user_id,
    previous_id,
    toUnixTimestamp64Milli(min(time)) AS first_ms,
    argMin(message_id, (time, message_id)) AS message_id,
    count() OVER () AS total
FROM links FINAL
WHERE kind = 'alias'
  AND user_id != ''
  AND previous_id != ''
  AND previous_id != user_id
  AND generation = {generation:UInt16}
  AND time >= {from:DateTime64(3, 'UTC')}
  AND time < {to:DateTime64(3, 'UTC')}
  AND concat('u:', previous_id) IN
  (
      SELECT key
      FROM events
      WHERE generation = {generation:UInt16}
        AND key IN (SELECT concat('u:', previous_id) FROM links WHERE kind = 'alias' AND previous_id != '')
  )
GROUP BY user_id, previous_id
ORDER BY first_ms DESC, user_id, previous_id
LIMIT {limit:UInt32}
