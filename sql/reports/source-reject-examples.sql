-- The latest rejects of one source, a few of each reason, their bytes cut.
-- Parameters: source, from and to (to exclusive), each (of a reason), bytes, limit.
SELECT
    reason,
    toUnixTimestamp64Milli(at) AS at_ms,
    detail,
    route,
    source_topic,
    toValidUTF8(left(tryBase64Decode(raw), {bytes:UInt32})) AS raw
FROM rejects FINAL
WHERE at >= {from:DateTime64(3, 'UTC')}
  AND at < {to:DateTime64(3, 'UTC')}
  AND source = {source:String}
ORDER BY reason, at DESC, source_id, source_offset
LIMIT {each:UInt32} BY reason
LIMIT {limit:UInt32}
