-- How sending stands as a whole, in numbers: a handful of index probes, whatever the number of messages.
SELECT extract(epoch FROM now())::float8 AS now,
       (SELECT count(*) FROM claim)::bigint AS claims,
       (SELECT count(*) FROM retry WHERE retry_at <= now())::bigint AS retries_due,
       (
           SELECT extract(epoch FROM max(heartbeat_at))::float8
           FROM (SELECT heartbeat_at FROM run ORDER BY id DESC LIMIT 50) AS latest
       ) AS last_run,
       (
           SELECT extract(epoch FROM now() - min(greatest(w.sendable_from, m.activated_at)))::float8
           FROM mailing_window w
           JOIN mailing m ON m.id = w.mailing_id
           WHERE w.state IN ('planned', 'open')
             AND greatest(w.sendable_from, m.activated_at) <= now()
             AND w.sendable_until > now()
             AND m.state = 'active'
       ) AS oldest_due,
       (s.held_at IS NOT NULL) AS held,
       (s.token_rejected_at IS NOT NULL) AS token_rejected,
       (s.broken_at IS NOT NULL) AS breaker_open,
       coalesce(s.blocked_until > now(), false) AS blocked,
       s.quota_used
FROM service s
