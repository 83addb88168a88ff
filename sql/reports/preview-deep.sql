-- What each contact, inquiry or order of a period said, for the quality of the opportunities that they belong to, and the country and
-- level that the buyer had said by then, at any time before: of what was said before the period only the latest is kept.
-- Parameters: as preview-behaviours; oneIn (as preview-buyers).
SELECT deep.key AS key, deep.behaviour AS behaviour, deep.record AS record, countries.value AS country, levels.value AS level
FROM
(
    SELECT
        person AS key,
        time,
        {behaviours:Array(String)}[arrayFirstIndex((k, e, whatever) -> k = kind AND (whatever = 1 OR e = event), {kinds:Array(String)}, {names:Array(String)}, {whatever:Array(UInt8)})] AS behaviour,
        record
    FROM event_people
    WHERE verdict = 'applied'
      AND generation = {generation:UInt16}
      AND time >= {from:DateTime64(3, 'UTC')}
      AND time < {to:DateTime64(3, 'UTC')}
      AND cityHash64(person) % {oneIn:UInt32} = 0
) AS deep
ASOF LEFT JOIN
(
    SELECT
        person AS key,
        greatest(time, {from:DateTime64(3, 'UTC')}) AS said_at,
        argMax(toString(country), (time, message_id)) AS value
    FROM event_people
    WHERE verdict = 'applied'
      AND country != ''
      AND generation = {generation:UInt16}
      AND time < {to:DateTime64(3, 'UTC')}
      AND cityHash64(person) % {oneIn:UInt32} = 0
    GROUP BY key, said_at
) AS countries ON deep.key = countries.key AND deep.time >= countries.said_at
ASOF LEFT JOIN
(
    SELECT
        person AS key,
        greatest(time, {from:DateTime64(3, 'UTC')}) AS said_at,
        argMax(toString(level), (time, message_id)) AS value
    FROM event_people
    WHERE verdict = 'applied'
      AND level != ''
      AND generation = {generation:UInt16}
      AND time < {to:DateTime64(3, 'UTC')}
      AND cityHash64(person) % {oneIn:UInt32} = 0
    GROUP BY key, said_at
) AS levels ON deep.key = levels.key AND deep.time >= levels.said_at
WHERE deep.behaviour IN ('contact', 'inquiry', 'order')
