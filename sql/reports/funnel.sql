-- Steps of one funnel by segment, from the hourly counts and what was counted after an hour was closed: one row a segment,
-- `steps` in the funnel's order.
-- What found no seat in its hour (`other||`) is `other` in every dimension.
-- Parameters: funnel, revision, generation, from and to (whole hours, to exclusive), by ('' for one row in total), limit.
SELECT
    multiIf(
        {by:String} = '', '',
        country = 'other' AND industry = '' AND channel = '', 'other',
        {by:String} = 'country', country, {by:String} = 'industry', industry, {by:String} = 'channel', channel, '') AS segment,
    sumForEach(steps) AS steps
FROM
(
    SELECT country, industry, channel, steps
    FROM funnel_hours FINAL
    WHERE funnel = {funnel:String}
      AND revision = {revision:UInt32}
      AND generation = {generation:UInt16}
      AND hour >= {from:DateTime('UTC')}
      AND hour < {to:DateTime('UTC')}
    UNION ALL
    SELECT country, industry, channel, arrayPushBack(arrayResize(emptyArrayInt64(), column), toInt64(amount)) AS steps
    FROM adjustments FINAL
    WHERE series = concat('funnel:', {funnel:String})
      AND revision = {revision:UInt32}
      AND generation = {generation:UInt16}
      AND start >= {from:DateTime('UTC')}
      AND start < {to:DateTime('UTC')}
)
GROUP BY segment
ORDER BY steps[1] DESC, segment
LIMIT {limit:UInt32}
