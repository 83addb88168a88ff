-- What an account, or one campaign, spent by the account's day and country.
-- Parameters: account, campaign ('' for all), generation, from and to (of hours those that begin there, to exclusive), offsetMinutes (of the account's day from UTC).
SELECT
    toString(toDate(hour + toIntervalMinute({offsetMinutes:Int32}))) AS day,
    country,
    sum(cost_micros) AS cost_micros
FROM campaign_hours FINAL
WHERE generation = {generation:UInt16}
  AND account = {account:String}
  AND ({campaign:String} = '' OR campaign = {campaign:String})
  AND hour >= {from:DateTime('UTC')}
  AND hour < {to:DateTime('UTC')}
GROUP BY day, country
ORDER BY day, country
