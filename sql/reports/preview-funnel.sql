-- How many buyers of a period would have come how far in a funnel, by a mapping of names to behaviours: one row a level.
-- Buyers are persons as they are known now; what lies before the period is not seen. A funnel has at most twelve steps: those that it lacks are '',
-- which no row has. {modes} is one of the closed list of modes, put in before the query is run.
-- Parameters: as preview-behaviours; steps, windowMs.
SELECT level, count() AS buyers
FROM
(
    SELECT key, windowFunnel({windowMs:UInt64}{modes})(
        toUInt64(toUnixTimestamp64Milli(time)),
        behaviour = {steps:Array(String)}[1], behaviour = {steps:Array(String)}[2], behaviour = {steps:Array(String)}[3],
        behaviour = {steps:Array(String)}[4], behaviour = {steps:Array(String)}[5], behaviour = {steps:Array(String)}[6],
        behaviour = {steps:Array(String)}[7], behaviour = {steps:Array(String)}[8], behaviour = {steps:Array(String)}[9],
        behaviour = {steps:Array(String)}[10], behaviour = {steps:Array(String)}[11], behaviour = {steps:Array(String)}[12]) AS level
    FROM
    (
        SELECT
            person AS key,
            time,
            {behaviours:Array(String)}[arrayFirstIndex((k, e, whatever) -> k = kind AND (whatever = 1 OR e = event), {kinds:Array(String)}, {names:Array(String)}, {whatever:Array(UInt8)})] AS behaviour
        FROM event_people
        WHERE verdict = 'applied'
      AND generation = {generation:UInt16}
      AND time >= {from:DateTime64(3, 'UTC')}
      AND time < {to:DateTime64(3, 'UTC')}
    )
    WHERE behaviour != ''
    GROUP BY key
)
GROUP BY level
ORDER BY level
