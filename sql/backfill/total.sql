-- How many buyers there are to look at.
SELECT uniqExact(key) AS keys
FROM
(
    SELECT key FROM events
    WHERE generation = {generation:UInt16} AND verdict = 'applied' AND offset < {bounds:Array(UInt64)}[partition + 1]
    UNION ALL
    SELECT user AS key FROM identities
    WHERE generation = {generation:UInt16} AND change = 'merged' AND offset < {bounds:Array(UInt64)}[partition + 1]
)
