-- Windows that are over before all of their audience was claimed: the rest gets its message now, expired
-- or cancelled, so that the ledger is complete.
SELECT w.shard, w.mailing_id, m.version, m.text, m.operator_codes, m.tags, w.zone, w.closes_at,
       w.sendable_until, greatest(w.opens_at, w.sendable_from, m.activated_at) AS due_at, w.frozen_at, w.last_client_id, w.position, w.catching_up,
       CASE WHEN m.state = 'cancelled' THEN 'cancelled' ELSE 'expired' END AS fate
FROM mailing_window w
JOIN mailing m ON m.id = w.mailing_id
WHERE w.shard = %(shard)s AND w.state = 'open' AND (w.closes_at <= now() OR m.state = 'cancelled')
ORDER BY w.mailing_id, w.zone
LIMIT 64
FOR UPDATE OF w SKIP LOCKED
