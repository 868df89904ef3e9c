-- What stands between due messages and the service; read before anything is sent. `wait` is how many seconds
-- nothing may be sent for; where it is 0 and the gate is closed, one dispatcher may probe with one message.
SELECT held_at IS NOT NULL AS held,
       hold_reason,
       token_rejected_at IS NOT NULL AS token_rejected,
       broken_at IS NOT NULL AS broken,
       greatest(
           0,
           extract(epoch FROM blocked_until - now()),
           extract(epoch FROM CASE WHEN broken_at IS NOT NULL THEN probe_after END - now()),
           extract(epoch FROM CASE WHEN broken_at IS NOT NULL OR token_rejected_at IS NOT NULL THEN probe_until END - now())
       )::float8 AS wait,
       home,
       (SELECT system_identifier::text FROM pg_control_system())
           || '/' || (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS here,
       timeline,
       CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline_now,
       coalesce(synchronous, false) AS synchronous,
       -- One that has heard of no dispatcher for long was left behind, or is a backup: it does not know everything.
       CASE WHEN synchronous AND NOT pg_is_in_recovery() THEN coalesce(
           (SELECT heartbeat_at > now() - interval '10 minutes' FROM run ORDER BY id DESC LIMIT 1), false
       ) ELSE false END AS heard_lately,
       current_setting('synchronous_standby_names') <> ''
           AND current_setting('synchronous_commit') NOT IN ('off', 'local') AS synchronous_now
FROM service
WHERE id = 1
