-- How many people did something by day (UTC): keys at arrival, each as the person that it is known to be now.
-- Parameters: generation, from and to (whole days, to exclusive).
SELECT toString(toDate(time)) AS day, uniqExact(person) AS people
FROM event_people
WHERE generation = {generation:UInt16}
  AND verdict = 'applied'
  AND behaviour != ''
  AND time >= {from:DateTime('UTC')}
  AND time < {to:DateTime('UTC')}
GROUP BY day
ORDER BY day
