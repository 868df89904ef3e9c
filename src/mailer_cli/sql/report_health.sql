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
       coalesce(s.home <> (SELECT system_identifier::text FROM pg_control_system())
           || '/' || (SELECT oid::text FROM pg_database WHERE datname = current_database()), false) AS copied,
       -- As the gate has it: a standby that had all is believed if it heard of a dispatcher lately.
       coalesce(
           s.timeline <> CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
           AND NOT (s.synchronous AND coalesce(
               (SELECT heartbeat_at > now() - interval '10 minutes' FROM run ORDER BY id DESC LIMIT 1), false
           )),
           false
       ) AS promoted,
       s.held_at, s.held_by, s.hold_reason, s.token_rejected_at,
       CASE WHEN s.blocked_until > now() THEN s.blocked_until END AS blocked_until, s.block_reason,
       s.broken_at, s.break_reason, s.probe_after,
       coalesce(s.probe_until > now(), false) AS probing
FROM service s
