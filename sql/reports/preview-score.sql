-- The distribution of a score over the buyers of a period, as of its end: σ(intercept + fit + Σ coefficient · ln(1 + min(S, cap))),
-- S a sum of behaviours that halves every halfLifeMs (domain/score.ts). What lies before the period is not seen.
-- Parameters: as preview-behaviours; toMs, halfLifeMs, cap, intercept; engaging and coefficients, countries and countryWeights,
-- industries and industryWeights, levels and levelWeights (names with their weights).
SELECT
    count() AS buyers,
    avg(p) AS mean,
    quantilesExact(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)(p) AS deciles
FROM
(
    SELECT
        key,
        max(country_at).3 AS country,
        max(industry_at).3 AS industry,
        max(level_at).3 AS level,
        {intercept:Float64}
            + transform(if(country = '', 'ZZ', country), {countries:Array(String)}, {countryWeights:Array(Float64)}, toFloat64(0))
            + transform(if(industry = '', 'unknown', industry), {industries:Array(String)}, {industryWeights:Array(Float64)}, toFloat64(0))
            + transform(if(level = '', 'unknown', level), {levels:Array(String)}, {levelWeights:Array(Float64)}, toFloat64(0))
            + sum(transform(behaviour, {engaging:Array(String)}, {coefficients:Array(Float64)}, toFloat64(0)) * log1p(least(engagement, {cap:Float64}))) AS logit,
        1 / (1 + exp(-logit)) AS p
    FROM
    (
        SELECT
            person AS key,
            {behaviours:Array(String)}[arrayFirstIndex((k, e, whatever) -> k = kind AND (whatever = 1 OR e = event), {kinds:Array(String)}, {names:Array(String)}, {whatever:Array(UInt8)})] AS behaviour,
            sum(exp2((toUnixTimestamp64Milli(time) - {toMs:Int64}) / {halfLifeMs:Float64})) AS engagement,
            maxIf((time, message_id, toString(country)), country != '') AS country_at,
            maxIf((time, message_id, toString(industry)), industry != '') AS industry_at,
            maxIf((time, message_id, toString(level)), level != '') AS level_at
        FROM event_people
        WHERE verdict = 'applied'
      AND generation = {generation:UInt16}
      AND time >= {from:DateTime64(3, 'UTC')}
      AND time < {to:DateTime64(3, 'UTC')}
        GROUP BY person, behaviour
    )
    GROUP BY key
)
