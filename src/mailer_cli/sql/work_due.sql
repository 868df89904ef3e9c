-- What a dispatcher could claim now, a row per shard and kind, so that idle costs a few index probes.
-- Nothing is due while sending is held, or the service is not to be asked, unless that is looked through.
-- A retry is as urgent as the window it belongs to.
WITH shard AS (
    SELECT generate_series(0, 15) AS shard
    WHERE %(through)s OR NOT EXISTS (
        SELECT FROM service
        WHERE held_at IS NOT NULL
           OR blocked_until > now()
           OR (
               (token_rejected_at IS NOT NULL OR broken_at IS NOT NULL)
               AND probe_run_id IS DISTINCT FROM %(run_id)s
           )
    )
)
SELECT shard.shard, 'window' AS kind, w.closes_at, w.priority
FROM shard CROSS JOIN LATERAL (
    SELECT w.closes_at, m.priority
    FROM mailing_window w
    JOIN mailing m ON m.id = w.mailing_id
    WHERE w.shard = shard.shard
      AND w.state = 'open'
      AND w.sendable_from <= now()
      AND w.sendable_until > now() + make_interval(secs => %(margin)s)
      AND m.state = 'active'
    ORDER BY w.closes_at, m.priority DESC
    LIMIT 1
) w
UNION ALL
SELECT shard.shard, 'retry', r.closes_at, r.priority
FROM shard CROSS JOIN LATERAL (
    SELECT coalesce(w.closes_at, now()) AS closes_at, m.priority
    FROM retry r
    JOIN mailing m ON m.id = r.mailing_id
    JOIN client c ON c.id = r.client_id
    LEFT JOIN mailing_window w
        ON w.shard = shard.shard AND w.mailing_id = r.mailing_id AND w.zone = c.timezone
    WHERE r.shard = shard.shard AND r.retry_at <= now()
    ORDER BY r.retry_at
    LIMIT 1
) r
UNION ALL
SELECT shard.shard, 'lapsed', now(), 0
FROM generate_series(0, 15) AS shard (shard)
WHERE EXISTS (SELECT FROM claim c WHERE c.shard = shard.shard AND c.lease_until <= now())
