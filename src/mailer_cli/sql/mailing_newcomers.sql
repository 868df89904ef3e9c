-- Clients who registered after their window's audience was frozen, and match.
SELECT count(*)
FROM mailing_window w
JOIN mailing m ON m.id = w.mailing_id
JOIN client c
    ON c.timezone = w.zone
    AND c.shard = w.shard
    AND c.id > coalesce(w.last_client_id, 0)
    AND (cardinality(m.operator_codes) = 0 OR c.operator_code = ANY (m.operator_codes))
    AND (cardinality(m.tags) = 0 OR c.tag = ANY (m.tags))
WHERE w.shard = %(shard)s
  AND w.mailing_id = %(mailing_id)s
  AND w.state IN ('open', 'scanned')
  AND w.closes_at > now()
  AND c.muted_at IS NULL
  AND c.removed_at IS NULL
