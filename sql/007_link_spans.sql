-- The spans of offsets in which a visitor's records belong to a user: what came before a link that owns the history, and the time that it was in force, apart from each other, for the link of another may have been in force between them. Links that were revoked are left out.
CREATE OR REPLACE VIEW link_spans AS
SELECT
    key,
    generation,
    link,
    user,
    span.1 AS from_offset,
    span.2 AS to_offset
FROM
(
    SELECT
        key,
        generation,
        link,
        anyIf(user, change = 'linked') AS user,
        minIf(identities.from_offset, change = 'linked') AS history_offset,
        minIf(offset, change = 'linked') AS linked_offset,
        if(countIf(change IN ('superseded', 'expired')) = 0, 18446744073709551615, minIf(offset, change IN ('superseded', 'expired'))) AS ended_offset
    FROM identities FINAL
    WHERE change IN ('linked', 'superseded', 'expired', 'revoked')
    GROUP BY key, generation, link
    HAVING countIf(change = 'revoked') = 0
)
ARRAY JOIN arrayFilter(each -> each.1 < each.2, [(history_offset, linked_offset), (linked_offset, ended_offset)]) AS span;
