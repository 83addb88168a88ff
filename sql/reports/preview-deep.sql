-- What each contact, inquiry or order of a period said, for the quality of the opportunities that they belong to.
-- Parameters: as preview-behaviours; oneIn (as preview-buyers).
SELECT key, behaviour, record
FROM
(
    SELECT
        person AS key,
        {behaviours:Array(String)}[arrayFirstIndex((k, e, whatever) -> k = kind AND (whatever = 1 OR e = event), {kinds:Array(String)}, {names:Array(String)}, {whatever:Array(UInt8)})] AS behaviour,
        record
    FROM event_people
    WHERE verdict = 'applied'
      AND generation = {generation:UInt16}
      AND time >= {from:DateTime64(3, 'UTC')}
      AND time < {to:DateTime64(3, 'UTC')}
      AND cityHash64(person) % {oneIn:UInt32} = 0
)
WHERE behaviour IN ('contact', 'inquiry', 'order')
