-- What the buyers of a range of keys did before the funnel's record, and the visitors whose histories those have (of each user
-- those of the latest {links_per_user} links); of each the latest {rows_per_key}, the last one first.
SELECT
    key,
    offset,
    toUnixTimestamp64Milli(time) AS timeMs,
    toUnixTimestamp64Milli(appended_at) AS appendMs,
    message_id AS messageId,
    behaviour,
    country,
    industry,
    channel
FROM events FINAL
WHERE generation = {generation:UInt16} AND verdict = 'applied' AND offset < {bounds:Array(UInt64)}[partition + 1]
  AND (
      (key >= {from:String} AND key <= {upTo:String})
      OR key IN
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
ORDER BY key, offset DESC
LIMIT {rows_per_key:UInt32} BY key
