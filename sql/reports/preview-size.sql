-- How much a preview would have to read: events and buyers of a period, and how many of the events are contacts, inquiries or orders.
-- Parameters: as preview-behaviours.
SELECT
    count() AS events,
    uniq(key) AS buyers,
    countIf({behaviours:Array(String)}[arrayFirstIndex((k, e, whatever) -> k = kind AND (whatever = 1 OR e = event), {kinds:Array(String)}, {names:Array(String)}, {whatever:Array(UInt8)})] IN ('contact', 'inquiry', 'order')) AS deep
FROM events
WHERE verdict = 'applied'
      AND generation = {generation:UInt16}
      AND time >= {from:DateTime64(3, 'UTC')}
      AND time < {to:DateTime64(3, 'UTC')}
