-- The north star by day and segment: visitors, opportunities, quality opportunities.
-- Parameters: generation, from and to (days, to exclusive unless it is within a day), by ('' for one row a day).
SELECT
    toString(day) AS day,
    multiIf({by:String} = 'country', country, {by:String} = 'industry', industry, {by:String} = 'channel', channel, '') AS segment,
    sum(visitors) AS visitors,
    sum(opportunities) AS opportunities,
    sum(quality_opportunities) AS quality_opportunities
FROM north_star_days FINAL
WHERE generation = {generation:UInt16}
  AND north_star_days.day >= toDate({from:DateTime('UTC')})
  AND north_star_days.day < {to:DateTime('UTC')}
GROUP BY day, segment
ORDER BY day, visitors DESC, segment
LIMIT {limit:UInt32}
