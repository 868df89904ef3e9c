-- The filter changed: who matches now may stand behind the cursor, and the audience is who has a message
-- and who will get one. It is counted here and not left to the next tick, which would count who matches
-- now and forget those sent to because they matched before.
UPDATE mailing_window w
SET state = 'open',
    catching_up = w.catching_up OR w.state = 'scanned',
    position = CASE WHEN w.catching_up OR w.state = 'scanned' THEN 0 ELSE w.position END,
    audience = w.claimed + (
        SELECT count(*)
        FROM client c
        JOIN mailing m ON m.id = %(mailing_id)s
        WHERE c.timezone = w.zone
          AND c.shard = %(shard)s
          AND c.id <= w.last_client_id
          AND (c.muted_at IS NULL OR c.muted_at >= w.frozen_at)
          AND (c.removed_at IS NULL OR c.removed_at >= w.frozen_at)
          AND (cardinality(m.operator_codes) = 0 OR c.operator_code = ANY (m.operator_codes))
          AND (cardinality(m.tags) = 0 OR c.tag = ANY (m.tags))
          AND NOT EXISTS (
              SELECT FROM message x
              WHERE x.shard = %(shard)s AND x.mailing_id = %(mailing_id)s AND x.client_id = c.id
          )
    )
WHERE w.shard = %(shard)s AND w.mailing_id = %(mailing_id)s AND w.state IN ('open', 'scanned')
