-- Opportunities opened in a period, each as it stands now, by segment. One that went to a user by a link (`moved`) goes on there, under
-- another id and with its own opening time (`merged`); one that was taken back (`revoked`) is the visitor's again (`returned`): each is one.
-- Parameters: generation, from and to (opening time, to exclusive), by ('' for one row in total), limit.
SELECT
    multiIf({by:String} = 'country', country, {by:String} = 'industry', industry, {by:String} = 'channel', channel, '') AS segment,
    count() AS opened,
    countIf(qualified) AS qualified,
    countIf(stage IN ('inquiry', 'order')) AS inquiries,
    countIf(stage = 'order') AS orders,
    countIf(last_change NOT IN ('fulfilled', 'completed', 'lost', 'evicted')) AS open,
    countIf(last_change = 'fulfilled') AS fulfilled,
    countIf(last_change = 'completed') AS completed,
    countIf(last_change = 'lost') AS lost,
    countIf(last_change = 'evicted') AS evicted,
    avg(quality) AS mean_quality
FROM
(
    SELECT
        argMax(change, (partition, offset, ordinal)) AS last_change,
        argMax(stage, (partition, offset, ordinal)) AS stage,
        argMax(quality, (partition, offset, ordinal)) AS quality,
        argMax(qualified, (partition, offset, ordinal)) AS qualified,
        argMax(country, (partition, offset, ordinal)) AS country,
        argMax(industry, (partition, offset, ordinal)) AS industry,
        argMax(channel, (partition, offset, ordinal)) AS channel
    FROM opportunities FINAL
    WHERE generation = {generation:UInt16}
      AND opened_at >= {from:DateTime64(3, 'UTC')}
      AND opened_at < {to:DateTime64(3, 'UTC')}
    GROUP BY opportunity_id
    HAVING last_change NOT IN ('moved', 'revoked')
)
GROUP BY segment
ORDER BY opened DESC, segment
LIMIT {limit:UInt32}
