-- The offset of a funnel revision's record in each partition of `events`: nothing at or behind it belongs to its past.
SELECT partition, min(offset) AS bound
FROM definitions FINAL
WHERE type = 'funnel' AND id = {funnel:String} AND revision = {revision:UInt32}
  AND topic = 'events' AND generation = {generation:UInt16}
GROUP BY partition
