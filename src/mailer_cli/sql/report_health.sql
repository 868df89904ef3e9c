-- What an operator should hear beside the numbers. Work counts as left lying only after two minutes, for
-- cron has one to come round; claimed work is never left lying, and paused mailings are not work.
SELECT now() AS now,
       (SELECT count(*) FROM mailing) AS mailings,
       (
           SELECT max(heartbeat_at)
           FROM (SELECT heartbeat_at FROM run ORDER BY id DESC LIMIT 50) AS latest
       ) AS last_run_at,
       EXISTS (
           SELECT
           FROM mailing_window w
           JOIN mailing m ON m.id = w.mailing_id
           WHERE w.state IN ('planned', 'open')
             AND greatest(w.sendable_from, m.activated_at) <= now() - interval '2 minutes'
             AND w.sendable_until > now()
             AND m.state = 'active'
       ) OR EXISTS (
           SELECT
           FROM mailing m
           JOIN retry r ON r.mailing_id = m.id
           WHERE r.shard = ANY (%(shards)s::smallint[])
             AND r.retry_at <= now() - interval '2 minutes'
             AND m.state = 'active'
             AND m.finished_at IS NULL
       ) AS neglected,
       s.held_at, s.held_by, s.hold_reason, s.token_rejected_at,
       CASE WHEN s.blocked_until > now() THEN s.blocked_until END AS blocked_until, s.block_reason,
       s.broken_at, s.break_reason, s.probe_after,
       coalesce(s.probe_until > now(), false) AS probing
FROM service s
