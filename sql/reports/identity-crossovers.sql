-- People who were exposed in a period, by experiment, and those of them who were shown different variants.
-- Parameters: generation, from and to (to exclusive), limit.
SELECT experiment, count() AS people, countIf(variants > 1) AS crossovers
FROM
(
    SELECT
        if(l.user != '' AND e.offset < l.to_offset, l.user, e.key) AS person,
        toString(e.experiment) AS experiment,
        uniqExact(e.variant) AS variants
    FROM
    (
        SELECT key, generation, offset, experiment, variant
        FROM exposures FINAL
        WHERE generation = {generation:UInt16}
          AND time >= {from:DateTime64(3, 'UTC')}
          AND time < {to:DateTime64(3, 'UTC')}
    ) AS e
    ASOF LEFT JOIN link_spans AS l ON e.key = l.key AND e.generation = l.generation AND e.offset >= l.from_offset
    GROUP BY person, experiment
)
GROUP BY experiment
ORDER BY crossovers DESC, people DESC, experiment
LIMIT {limit:UInt32}
