-- What became of the links of the same buyers before the funnel's record, at both owners.
SELECT
    key,
    offset,
    toUnixTimestamp64Milli(time) AS timeMs,
    link,
    visitor,
    user,
    change,
    from_offset AS fromOffset
FROM identities FINAL
WHERE generation = {generation:UInt16} AND offset < {bounds:Array(UInt64)}[partition + 1]
  AND (
      (visitor >= {from:String} AND visitor <= {upTo:String})
      OR visitor IN
      (
          SELECT visitor FROM
          (
              SELECT DISTINCT user, visitor, offset FROM identities
              WHERE generation = {generation:UInt16} AND change = 'merged' AND offset < {bounds:Array(UInt64)}[partition + 1]
                  AND user >= {from:String} AND user <= {upTo:String}
              ORDER BY user, offset DESC
              LIMIT {links_per_user:UInt32} BY user
          )
      )
  )
ORDER BY key, offset, ordinal
