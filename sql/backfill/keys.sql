-- The next buyers in the order of their keys, and how many rows each has; users with nothing but what visitors brought, too.
SELECT key, sum(rows) AS rows
FROM
(
    SELECT key, count() AS rows FROM events
    WHERE generation = {generation:UInt16} AND verdict = 'applied' AND offset < {bounds:Array(UInt64)}[partition + 1]
      AND key > {after:String}
    GROUP BY key
    ORDER BY key
    LIMIT {limit:UInt32}
    UNION ALL
    SELECT user AS key, count() AS rows FROM identities
    WHERE generation = {generation:UInt16} AND change = 'merged' AND offset < {bounds:Array(UInt64)}[partition + 1]
      AND user > {after:String}
    GROUP BY key
    ORDER BY key
    LIMIT {limit:UInt32}
)
GROUP BY key
ORDER BY key
LIMIT {limit:UInt32}
