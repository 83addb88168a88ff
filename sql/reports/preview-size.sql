-- How much a preview would have to read: events and buyers of a period.
-- Parameters: generation, from and to (event time, to exclusive).
SELECT count() AS events, uniq(key) AS buyers
FROM events
WHERE verdict = 'applied'
      AND generation = {generation:UInt16}
      AND time >= {from:DateTime64(3, 'UTC')}
      AND time < {to:DateTime64(3, 'UTC')}
