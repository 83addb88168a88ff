-- The schema that was seen: per source and event name, each property (two levels deep) with its JSON types; an empty path
-- counts the events themselves. A null is no value.
-- Parameters: generation, source ('' for all), from and to (receipt, to exclusive), every (1 reads all events, n every n-th),
-- newest (so many of each name, the latest), limit (rows of a source, the most frequent).
-- Events of more than a week before their receipt are left out, as in sources.sql.
WITH
    (value -> transform(toString(JSONType(value)),
        ['Int64', 'UInt64', 'Double', 'String', 'Bool', 'Array', 'Object'],
        ['number', 'number', 'number', 'string', 'boolean', 'array', 'object'], 'null')) AS type_of
SELECT
    source,
    kind,
    event,
    entry.1 AS path,
    entry.2 AS type,
    count() AS count,
    toUnixTimestamp64Milli(min(received_at)) AS first_ms,
    toUnixTimestamp64Milli(max(received_at)) AS last_ms
FROM
(
    SELECT
        source,
        kind,
        event,
        received_at,
        arrayFlatten(arrayMap(
            section -> arrayMap(own -> (concat(section, '.', own.1), own.2), JSONExtractKeysAndValuesRaw(record, section)),
            ['properties', 'traits', 'context'])) AS outer,
        arrayFlatten(arrayMap(
            own -> if(type_of(own.2) = 'object',
                arrayMap(inner -> (concat(own.1, '.', inner.1), inner.2), JSONExtractKeysAndValuesRaw(own.2)), []),
            outer)) AS inner,
        arrayDistinct(arrayConcat(
            [('', '')],
            arrayFilter(seen -> seen.2 != 'null', arrayMap(own -> (own.1, type_of(own.2)), arrayConcat(outer, inner)))
        )) AS entries
    FROM
    (
        SELECT source, kind, event, received_at, record
        FROM events FINAL
        WHERE generation = {generation:UInt16}
          AND time >= {from:DateTime64(3, 'UTC')} - INTERVAL 7 DAY
          AND time >= received_at - INTERVAL 7 DAY
          AND received_at >= {from:DateTime64(3, 'UTC')}
          AND received_at < {to:DateTime64(3, 'UTC')}
          AND ({source:String} = '' OR source = {source:String})
          AND cityHash64(partition, offset) % {every:UInt32} = 0
        ORDER BY received_at DESC
        LIMIT {newest:UInt32} BY source, kind, event
    )
)
ARRAY JOIN entries AS entry
GROUP BY source, kind, event, path, type
ORDER BY source, count DESC, kind, event, path, type
LIMIT {limit:UInt32} BY source
-- The quicker parser refuses a record as a whole for one number beyond 64 bits, which JSON allows.
SETTINGS allow_simdjson = 0
