-- Known phones take over what the file gives, and nothing else; one that is so already is not touched, so
-- neither are those just inserted. Whoever was added while the insert waited is seen here. A removed client
-- is back under the old id. The zones are those in which windows must look again.
WITH given AS (
    SELECT DISTINCT ON (phone) phone, operator_code, tag, timezone
    FROM client_import
    ORDER BY phone, line
),
changed AS (
    UPDATE client c
    SET operator_code = CASE WHEN %(operator_given)s THEN g.operator_code ELSE c.operator_code END,
        tag = CASE WHEN %(tag_given)s THEN g.tag ELSE c.tag END,
        timezone = coalesce(g.timezone, c.timezone),
        removed_at = NULL
    FROM given g
    WHERE c.phone = g.phone COLLATE "default"
      AND (
          (%(operator_given)s AND c.operator_code <> g.operator_code)
          OR (%(tag_given)s AND c.tag IS DISTINCT FROM g.tag)
          OR c.timezone <> coalesce(g.timezone, c.timezone)
          OR c.removed_at IS NOT NULL
      )
    RETURNING c.timezone
)
SELECT count(*) AS number, coalesce(array_agg(DISTINCT timezone), '{}') AS zones FROM changed
