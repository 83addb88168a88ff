-- How many events of a period a mapping of names would make which behaviour; '' is mapped to none.
-- Parameters: generation, from and to (event time, to exclusive); kinds, names, whatever (1: any name), behaviours (the rules, in their order).
SELECT
    {behaviours:Array(String)}[arrayFirstIndex((k, e, whatever) -> k = kind AND (whatever = 1 OR e = event), {kinds:Array(String)}, {names:Array(String)}, {whatever:Array(UInt8)})] AS behaviour,
    count() AS events
FROM events FINAL
WHERE verdict = 'applied'
      AND generation = {generation:UInt16}
      AND time >= {from:DateTime64(3, 'UTC')}
      AND time < {to:DateTime64(3, 'UTC')}
GROUP BY behaviour
ORDER BY behaviour
