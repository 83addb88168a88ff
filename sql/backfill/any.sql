-- Whether anybody did anything before the funnel's record.
SELECT 1 AS any
FROM events
WHERE generation = {generation:UInt16} AND verdict = 'applied' AND offset < {bounds:Array(UInt64)}[partition + 1]
LIMIT 1
