-- Lock the most urgent window nobody else is working on, and with it the mailing's other windows that end
-- with it, or as far from now: small zones shall not make small claims, and a claim lives a minute or two.
-- SKIP LOCKED lets dispatchers work side by side without waiting for, or repeating, each other.
WITH first AS MATERIALIZED (
    SELECT w.mailing_id, w.sendable_until
    FROM mailing_window w
    JOIN mailing m ON m.id = w.mailing_id
    WHERE w.shard = %(shard)s
      AND w.state = 'open'
      AND w.sendable_from <= now()
      AND w.sendable_until > now() + make_interval(secs => %(margin)s)
      AND m.state = 'active'
    ORDER BY w.closes_at, m.priority DESC, w.mailing_id
    LIMIT 1
    FOR UPDATE OF w SKIP LOCKED
)
SELECT w.shard, w.mailing_id, m.version, m.text, m.operator_codes, m.tags, w.zone, w.closes_at,
       w.sendable_until, greatest(w.opens_at, w.sendable_from, m.activated_at) AS due_at, w.frozen_at, w.last_client_id, w.position, w.catching_up
FROM mailing_window w
JOIN first f
    ON f.mailing_id = w.mailing_id
    AND (
        f.sendable_until = w.sendable_until
        OR least(f.sendable_until, w.sendable_until) > now() + make_interval(secs => %(far)s)
    )
JOIN mailing m ON m.id = w.mailing_id
WHERE w.shard = %(shard)s AND w.state = 'open' AND w.sendable_from <= now()
ORDER BY w.closes_at, w.zone
LIMIT 64
FOR UPDATE OF w SKIP LOCKED
