-- What each contact, inquiry or order of a period said, for the quality of the opportunities that they belong to, and the country and
-- level that the buyer had said by then, at any time before: of what was said before the period only the latest is kept.
-- Of a record only what domain/opportunity.ts reads of it: `subject` is the first of the named properties that is a text or a number, as
-- JSON, '' if none is; of a message its length in UTF-16 units. The record itself may have 256 KiB, and all rows stand in serve's memory.
-- Parameters: as preview-behaviours; oneIn (as preview-buyers), subjects (names of properties), subjectCharacters, limit.
SELECT
    deep.key AS key,
    deep.behaviour AS behaviour,
    deep.subject AS subject,
    deep.message_length AS message_length,
    deep.quantity AS quantity,
    deep.specification AS specification,
    countries.value AS country,
    levels.value AS level
FROM
(
    SELECT
        key,
        time,
        behaviour,
        ['Int64', 'UInt64', 'Double'] AS numbers,
        JSONExtractString(record, 'properties', 'message') AS message,
        arrayFirst(value -> value != '', arrayMap(
            name -> multiIf(
                JSONType(record, 'properties', name) = 'String',
                toJSONString(substringUTF8(JSONExtractString(record, 'properties', name), 1, {subjectCharacters:UInt32})),
                has(numbers, toString(JSONType(record, 'properties', name))),
                JSONExtractRaw(record, 'properties', name),
                ''),
            {subjects:Array(String)})) AS subject,
        multiIf(
            JSONType(record, 'properties', 'message') = 'String',
            toFloat64(lengthUTF8(message) + countMatches(message, '[\\x{10000}-\\x{10FFFF}]')),
            has(numbers, toString(JSONType(record, 'properties', 'messageLength'))),
            JSONExtractFloat(record, 'properties', 'messageLength'),
            0) AS message_length,
        if(has(numbers, toString(JSONType(record, 'properties', 'quantity'))), JSONExtractFloat(record, 'properties', 'quantity'), 0) AS quantity,
        if(JSONType(record, 'properties', 'specification') = 'String',
            JSONExtractString(record, 'properties', 'specification') != '',
            JSONType(record, 'properties', 'specification') = 'Bool' AND JSONExtractBool(record, 'properties', 'specification')) AS specification
    FROM
    (
        SELECT
            person AS key,
            time,
            {behaviours:Array(String)}[arrayFirstIndex((k, e, whatever) -> k = kind AND (whatever = 1 OR e = event), {kinds:Array(String)}, {names:Array(String)}, {whatever:Array(UInt8)})] AS behaviour,
            record
        FROM event_people
        WHERE verdict = 'applied'
          AND generation = {generation:UInt16}
          AND time >= {from:DateTime64(3, 'UTC')}
          AND time < {to:DateTime64(3, 'UTC')}
          AND cityHash64(person) % {oneIn:UInt32} = 0
    )
    WHERE behaviour IN ('contact', 'inquiry', 'order')
) AS deep
ASOF LEFT JOIN
(
    SELECT
        person AS key,
        greatest(time, {from:DateTime64(3, 'UTC')}) AS said_at,
        argMax(toString(country), (time, message_id)) AS value
    FROM event_people
    WHERE verdict = 'applied'
      AND country != ''
      AND generation = {generation:UInt16}
      AND time < {to:DateTime64(3, 'UTC')}
      AND cityHash64(person) % {oneIn:UInt32} = 0
    GROUP BY key, said_at
) AS countries ON deep.key = countries.key AND deep.time >= countries.said_at
ASOF LEFT JOIN
(
    SELECT
        person AS key,
        greatest(time, {from:DateTime64(3, 'UTC')}) AS said_at,
        argMax(toString(level), (time, message_id)) AS value
    FROM event_people
    WHERE verdict = 'applied'
      AND level != ''
      AND generation = {generation:UInt16}
      AND time < {to:DateTime64(3, 'UTC')}
      AND cityHash64(person) % {oneIn:UInt32} = 0
    GROUP BY key, said_at
) AS levels ON deep.key = levels.key AND deep.time >= levels.said_at
LIMIT {limit:UInt32}
-- The quicker parser refuses a record as a whole for one number beyond 64 bits, which JSON allows.
SETTINGS allow_simdjson = 0
