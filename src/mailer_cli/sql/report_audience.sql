-- A counted window knows its audience. Clients are counted here only for windows that do not: all the
-- planned ones share a single pass (the crowd), which is left out when there are none, and a window that
-- was frozen a moment ago is counted on its own, by what was true when it was frozen.
WITH part AS MATERIALIZED (
    SELECT *, audience IS NULL AND state IN ('planned', 'open') AS uncounted
    FROM mailing_window
    WHERE mailing_id = ANY (%(mailings)s::bigint[])
),
crowd AS MATERIALIZED (
    SELECT timezone, shard, operator_code, tag, count(*) AS clients
    FROM client
    WHERE EXISTS (SELECT FROM part WHERE uncounted AND frozen_at IS NULL)
      AND timezone IN (SELECT zone FROM part WHERE uncounted AND frozen_at IS NULL)
      AND muted_at IS NULL
      AND removed_at IS NULL
    GROUP BY timezone, shard, operator_code, tag
),
counted AS (
    SELECT p.mailing_id, p.shard, p.zone, sum(crowd.clients) AS clients
    FROM part p
    JOIN mailing m ON m.id = p.mailing_id
    JOIN crowd ON crowd.timezone = p.zone AND crowd.shard = p.shard
    WHERE p.uncounted
      AND p.frozen_at IS NULL
      AND (cardinality(m.operator_codes) = 0 OR crowd.operator_code = ANY (m.operator_codes))
      AND (cardinality(m.tags) = 0 OR crowd.tag = ANY (m.tags))
    GROUP BY p.mailing_id, p.shard, p.zone
    UNION ALL
    SELECT p.mailing_id, p.shard, p.zone, frozen.clients
    FROM part p
    JOIN mailing m ON m.id = p.mailing_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS clients
        FROM client c
        WHERE c.timezone = p.zone
          AND c.shard = p.shard
          AND c.id <= p.last_client_id
          AND (c.muted_at IS NULL OR c.muted_at >= p.frozen_at)
          AND (c.removed_at IS NULL OR c.removed_at >= p.frozen_at)
          AND (cardinality(m.operator_codes) = 0 OR c.operator_code = ANY (m.operator_codes))
          AND (cardinality(m.tags) = 0 OR c.tag = ANY (m.tags))
    ) AS frozen
    WHERE p.uncounted AND p.frozen_at IS NOT NULL
)
SELECT mailing_id AS mailing,
       CASE WHEN %(by_zone)s::boolean THEN zone END AS zone,
       min(opens_at) AS opens_at,
       max(closes_at) AS closes_at,
       sum(greatest(part.audience, counted.clients, claimed))::bigint AS audience,
       sum(greatest(part.audience, counted.clients, claimed) - claimed)::bigint AS waiting
FROM part
LEFT JOIN counted USING (mailing_id, shard, zone)
GROUP BY 1, 2
ORDER BY 1 DESC, 2
