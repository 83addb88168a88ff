-- What each buyer of a period did, in order of time: pairs of milliseconds and behaviour, by a mapping of names.
-- Parameters: as preview-behaviours; oneIn (as preview-buyers).
SELECT key, arraySort(groupArray((ms, behaviour))) AS life
FROM
(
    SELECT
        person AS key,
        toUnixTimestamp64Milli(time) AS ms,
        {behaviours:Array(String)}[arrayFirstIndex((k, e, whatever) -> k = kind AND (whatever = 1 OR e = event), {kinds:Array(String)}, {names:Array(String)}, {whatever:Array(UInt8)})] AS behaviour
    FROM event_people
    WHERE verdict = 'applied'
      AND generation = {generation:UInt16}
      AND time >= {from:DateTime64(3, 'UTC')}
      AND time < {to:DateTime64(3, 'UTC')}
      AND cityHash64(person) % {oneIn:UInt32} = 0
)
WHERE behaviour != ''
GROUP BY key
