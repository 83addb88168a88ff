-- What became of links in a period, and how those that were made in it and were not taken back join visitors and users: what one
-- that ended has brought stays with its user. Companies, and their members as the people that they are known as now.
-- Parameters: generation, from and to (to exclusive).
WITH
    changes AS
    (
        SELECT link, visitor, user, toString(change) AS what
        FROM identities FINAL
        WHERE generation = {generation:UInt16}
          AND time >= {from:DateTime64(3, 'UTC')}
          AND time < {to:DateTime64(3, 'UTC')}
    ),
    standing AS
    (
        SELECT DISTINCT visitor, user
        FROM changes
        WHERE what = 'linked'
          AND link NOT IN (SELECT link FROM identities WHERE generation = {generation:UInt16} AND change = 'revoked')
    )
SELECT
    (SELECT countIf(what = 'linked') FROM changes) AS made,
    (SELECT countIf(what = 'superseded') FROM changes) AS superseded,
    (SELECT countIf(what = 'revoked') FROM changes) AS revoked,
    (SELECT countIf(what = 'expired') FROM changes) AS expired,
    (SELECT countIf(what = 'merged') FROM changes) AS merged,
    (SELECT countIf(what = 'inseparable') FROM changes) AS inseparable,
    (SELECT uniqExact(visitor) FROM standing) AS visitors,
    (SELECT uniqExact(user) FROM standing) AS users,
    (SELECT count() FROM (SELECT user FROM standing GROUP BY user HAVING count() > 1)) AS users_with_several_visitors,
    (SELECT count() FROM (SELECT visitor FROM standing GROUP BY visitor HAVING count() > 1)) AS visitors_of_several_users,
    grouped.companies AS companies,
    grouped.members AS members
FROM
(
    SELECT
        uniqExact(g.group_id) AS companies,
        uniqExact(if(l.user != '' AND g.offset < l.to_offset, l.user, g.key)) AS members
    FROM
    (
        SELECT key, generation, offset, group_id
        FROM links
        WHERE kind = 'group'
          AND generation = {generation:UInt16}
          AND time >= {from:DateTime64(3, 'UTC')}
          AND time < {to:DateTime64(3, 'UTC')}
    ) AS g
    ASOF LEFT JOIN link_spans AS l ON g.key = l.key AND g.generation = l.generation AND g.offset >= l.from_offset
) AS grouped
