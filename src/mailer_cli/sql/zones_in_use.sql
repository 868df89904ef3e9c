-- A loose index scan: one probe of (timezone, shard, id) per zone instead of a pass over every client.
WITH RECURSIVE zone AS (
    (SELECT timezone FROM client ORDER BY timezone LIMIT 1)
    UNION ALL
    SELECT (SELECT c.timezone FROM client c WHERE c.timezone > zone.timezone ORDER BY c.timezone LIMIT 1)
    FROM zone
    WHERE zone.timezone IS NOT NULL
)
SELECT timezone FROM zone WHERE timezone IS NOT NULL
