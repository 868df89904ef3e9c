-- Clients of unfinished mailings who have no message yet, by zone: what a dispatch could still claim.
-- The same rules as the cursor's: who registered after the window opened, or is muted, is not counted.
SELECT m.id AS mailing_id, c.timezone AS zone, count(*) AS number
FROM mailing m
JOIN client c
    ON (cardinality(m.operator_codes) = 0 OR c.operator_code = ANY (m.operator_codes))
    AND (cardinality(m.tags) = 0 OR c.tag = ANY (m.tags))
LEFT JOIN mailing_window w ON w.shard = c.shard AND w.mailing_id = m.id AND w.zone = c.timezone
WHERE m.finished_at IS NULL
  AND m.state <> 'cancelled'
  AND c.muted_at IS NULL
  AND c.removed_at IS NULL
  AND coalesce(w.state, 'planned') IN ('planned', 'open')
  AND CASE
      WHEN w.frozen_at IS NOT NULL THEN c.id <= w.last_client_id
      ELSE w.opens_at IS NULL OR c.created_at < greatest(w.opens_at, m.activated_at)
  END
  AND NOT EXISTS (
      SELECT FROM message x WHERE x.shard = c.shard AND x.mailing_id = m.id AND x.client_id = c.id
  )
GROUP BY m.id, c.timezone
