-- What campaigns were shown for, clicked and cost, from the hourly absolute values: one row a campaign and segment.
-- Parameters: campaign ('' for all), generation, from and to (of hours those that begin there, to exclusive), by ('' for one row a campaign), limit.
SELECT
    campaign,
    any(account) AS account,
    multiIf({by:String} = 'country', country, {by:String} = 'channel', channel, '') AS segment,
    sum(impressions) AS impressions,
    sum(clicks) AS clicks,
    sum(cost_micros) AS cost_micros
FROM campaign_hours FINAL
WHERE generation = {generation:UInt16}
  AND ({campaign:String} = '' OR campaign = {campaign:String})
  AND hour >= {from:DateTime('UTC')}
  AND hour < {to:DateTime('UTC')}
GROUP BY campaign, segment
ORDER BY cost_micros DESC, campaign, segment
LIMIT {limit:UInt32}
