-- The people of a period with what is known of them at its end, by all that they ever said before: latest country, industry and level,
-- first channel, and the stage entered last by the order of the log: a stage may be entered at a time before the one that it follows.
-- Parameters: generation, from and to (event time, to exclusive); oneIn (1: all; else a sample of the keys, always the same).
SELECT key, country, industry, channel, level, stage
FROM
(
    SELECT
        person AS key,
        maxIf((time, message_id, toString(country)), country != '').3 AS country,
        maxIf((time, message_id, toString(industry)), industry != '').3 AS industry,
        maxIf((time, message_id, toString(level)), level != '').3 AS level,
        minIf((time, message_id, toString(channel)), channel != '').3 AS channel
    FROM event_people
    WHERE verdict = 'applied'
      AND generation = {generation:UInt16}
      AND time < {to:DateTime64(3, 'UTC')}
      AND cityHash64(person) % {oneIn:UInt32} = 0
    GROUP BY person
    HAVING max(time) >= {from:DateTime64(3, 'UTC')}
) AS buyers
LEFT JOIN
(
    SELECT key, toString(argMax(to_stage, (partition, offset, ordinal))) AS stage
    FROM transitions FINAL
    WHERE generation = {generation:UInt16}
      AND time < {to:DateTime64(3, 'UTC')}
    GROUP BY key
) AS stages USING (key)
