-- The north star by day and segment: visitors, opportunities, quality opportunities; from the daily counts and what was counted
-- after a day was closed.
-- What found no seat in its day (`other||`) is `other` in every dimension. The newest days first: a limit cuts the oldest ones.
-- Parameters: generation, from and to (whole days, to exclusive), by ('' for one row a day), limit.
SELECT
    toString(date) AS day,
    multiIf(
        {by:String} = '', '',
        country = 'other' AND industry = '' AND channel = '', 'other',
        {by:String} = 'country', country, {by:String} = 'industry', industry, {by:String} = 'channel', channel, '') AS segment,
    sum(visitors) AS visitors,
    sum(opportunities) AS opportunities,
    sum(quality_opportunities) AS quality_opportunities
FROM
(
    SELECT north_star_days.day AS date, country, industry, channel, visitors, opportunities, quality_opportunities
    FROM north_star_days FINAL
    WHERE generation = {generation:UInt16}
      AND date >= toDate({from:DateTime('UTC')})
      AND date < {to:DateTime('UTC')}
    UNION ALL
    SELECT
        toDate(start) AS date,
        country,
        industry,
        channel,
        toUInt64(if(column = 0, amount, 0)) AS visitors,
        toUInt64(if(column = 1, amount, 0)) AS opportunities,
        toUInt64(if(column = 2, amount, 0)) AS quality_opportunities
    FROM adjustments FINAL
    WHERE series = 'northstar'
      AND generation = {generation:UInt16}
      AND date >= toDate({from:DateTime('UTC')})
      AND date < {to:DateTime('UTC')}
)
GROUP BY day, segment
ORDER BY day DESC, visitors DESC, segment
LIMIT {limit:UInt32}
