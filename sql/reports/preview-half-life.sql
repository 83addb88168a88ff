-- The applied behaviours of a period, and how many of them came before each partition had the first of some scores' revisions: the
-- sums of their half-life do not have these.
-- Parameters: generation, from and to (to exclusive), scores and revisions (one of each a score).
SELECT count() AS behaviours, countIf(e.offset < f.begin) AS before
FROM
(
    SELECT partition, offset
    FROM events FINAL
    WHERE verdict = 'applied'
      AND behaviour != ''
      AND generation = {generation:UInt16}
      AND time >= {from:DateTime64(3, 'UTC')}
      AND time < {to:DateTime64(3, 'UTC')}
) AS e
LEFT JOIN
(
    SELECT partition, min(offset) AS begin
    FROM definitions FINAL
    WHERE type = 'score'
      AND topic = 'events'
      AND generation = {generation:UInt16}
      AND has(arrayZip({scores:Array(String)}, {revisions:Array(UInt32)}), (id, revision))
    GROUP BY partition
) AS f USING (partition)
