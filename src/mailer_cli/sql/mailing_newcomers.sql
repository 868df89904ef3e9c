-- Clients who registered after their window's audience was frozen, and match; those who have a message of
-- this mailing from a zone they have left are no newcomers.
SELECT w.zone, count(*)
FROM mailing_window w
JOIN mailing m ON m.id = w.mailing_id
JOIN client c
    ON c.timezone = w.zone
    AND c.shard = %(shard)s
    AND c.id > coalesce(w.last_client_id, 0)
    AND c.id <= %(last_client_id)s
    AND (cardinality(m.operator_codes) = 0 OR c.operator_code = ANY (m.operator_codes))
    AND (cardinality(m.tags) = 0 OR c.tag = ANY (m.tags))
WHERE w.shard = %(shard)s
  AND w.mailing_id = %(mailing_id)s
  AND w.state IN ('open', 'scanned')
  AND w.closes_at > now()
  AND c.muted_at IS NULL
  AND c.removed_at IS NULL
  AND NOT EXISTS (
      SELECT FROM message x
      WHERE x.shard = %(shard)s AND x.mailing_id = %(mailing_id)s AND x.client_id = c.id
  )
GROUP BY w.zone
ORDER BY w.zone
