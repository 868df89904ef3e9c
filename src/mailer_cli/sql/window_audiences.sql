-- How many clients each frozen, uncounted audience has. Counting comes after the first sends, not before:
-- a window of ten million would otherwise open seconds late.
SELECT w.mailing_id, w.zone, count(c.id) AS audience
FROM mailing_window w
JOIN mailing m ON m.id = w.mailing_id
LEFT JOIN client c
    ON c.timezone = w.zone
    AND c.shard = %(shard)s
    AND c.id <= w.last_client_id
    AND (c.muted_at IS NULL OR c.muted_at >= w.frozen_at)
    AND (c.removed_at IS NULL OR c.removed_at >= w.frozen_at)
    AND (cardinality(m.operator_codes) = 0 OR c.operator_code = ANY (m.operator_codes))
    AND (cardinality(m.tags) = 0 OR c.tag = ANY (m.tags))
WHERE w.shard = %(shard)s AND w.state = 'open' AND w.audience IS NULL
GROUP BY w.mailing_id, w.zone
