-- Each mailing's windows, a row per zone: how many are meant and claimed where that is counted, and whether
-- it still has to be estimated. Clients and messages are not read.
SELECT mailing_id AS mailing, zone,
       min(opens_at) AS opens_at,
       max(closes_at) AS closes_at,
       min(sendable_from) AS sendable_from,
       max(sendable_until) AS sendable_until,
       sum(coalesce(audience, claimed))::bigint AS audience,
       sum(claimed)::bigint AS claimed,
       bool_or(audience IS NULL AND state IN ('planned', 'open')) AS uncounted
FROM mailing_window
WHERE mailing_id = ANY (%(mailings)s::bigint[])
GROUP BY 1, 2
ORDER BY 1, 2
