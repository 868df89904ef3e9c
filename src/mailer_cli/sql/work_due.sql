-- What a dispatcher could claim now: a row per shard, and for retries per mailing, so that idle costs a few
-- index probes. Nothing is due while sending is held, or the service is not to be asked, unless that is
-- looked through. Retries are as urgent as the first window of their mailing that will close. A kind of work
-- of which there is none at all costs one index probe and not sixteen: most ticks find nothing.
WITH shard AS (
    SELECT generate_series(0, 15) AS shard
    WHERE %(through)s OR NOT EXISTS (
        SELECT FROM service
        WHERE held_at IS NOT NULL
           OR blocked_until > now()
           OR timeline <> CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
           OR (
               (token_rejected_at IS NOT NULL OR broken_at IS NOT NULL)
               AND probe_run_id IS DISTINCT FROM %(run_id)s
           )
    )
)
SELECT shard.shard, 'window' AS kind, NULL::bigint AS mailing_id, w.closes_at, w.priority
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
WHERE (SELECT true FROM mailing_window WHERE state <> 'closed' ORDER BY shard, closes_at LIMIT 1)
UNION ALL
SELECT shard.shard, 'retry', m.id, coalesce(w.closes_at, now()), m.priority
FROM shard
CROSS JOIN LATERAL (
    WITH RECURSIVE tried AS (
        (SELECT r.mailing_id FROM retry r WHERE r.shard = shard.shard ORDER BY r.mailing_id LIMIT 1)
        UNION ALL
        SELECT (
            SELECT r.mailing_id
            FROM retry r
            WHERE r.shard = shard.shard AND r.mailing_id > t.mailing_id
            ORDER BY r.mailing_id
            LIMIT 1
        )
        FROM tried t
        WHERE t.mailing_id IS NOT NULL
    )
    SELECT mailing_id FROM tried
) t
JOIN mailing m ON m.id = t.mailing_id
CROSS JOIN LATERAL (
    SELECT min(w.closes_at) AS closes_at
    FROM mailing_window w
    WHERE w.shard = shard.shard AND w.mailing_id = m.id AND w.closes_at > now()
) w
WHERE (SELECT true FROM retry ORDER BY shard, mailing_id, client_id LIMIT 1)
  AND EXISTS (
    SELECT FROM retry r
    WHERE r.shard = shard.shard AND r.mailing_id = m.id AND r.retry_at <= now()
)
UNION ALL
SELECT shard.shard, 'lapsed', NULL, now(), 0
FROM generate_series(0, 15) AS shard (shard)
WHERE (SELECT true FROM claim ORDER BY shard, lease_until LIMIT 1)
  AND EXISTS (SELECT FROM claim c WHERE c.shard = shard.shard AND c.lease_until <= now())
