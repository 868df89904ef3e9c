-- All that decides whether one client gets one mailing, in one row: client, mailing, the window of the zone the
-- client is in, the message and its claim, the gate to the service, the latest runs. Every part is a probe.
SELECT now() AS now,
       c.id AS client_id, c.phone, c.operator_code, c.tag, c.timezone, c.muted_at, c.mute_reason, c.removed_at,
       c.created_at AS registered_at,
       gone.at AS gone_at, gone.action AS gone_action, gone.new ->> 'reason' AS gone_reason,
       g.id AS mailing_id, g.state, g.starts_at, g.ends_at, g.zone, g.hours, g.weekdays, g.operator_codes, g.tags,
       g.priority, g.activated_at, g.finished_at, g.purged_at, became.at AS state_since, became.actor AS state_by,
       w.state AS window_state, w.opens_at, w.closes_at, w.sendable_from, w.sendable_until, w.frozen_at,
       w.last_client_id, w.position, coalesce(w.catching_up, false) AS catching_up,
       m.status, m.phone AS sent_to, m.attempts, m.turn, m.created_at AS claimed_at, m.sent_at, m.http_status,
       m.error, r.retry_at, tried.attempted_at, tried.error AS last_error,
       settled.at AS settled_at, settled.actor AS settled_by, settled.new ->> 'status' AS settled_as,
       claim.started AS started, claim.lease_until,
       coalesce(claim.run_id, m.run_id) AS run_id, run.host, run.started_at AS run_started_at,
       s.held_at, s.held_by, s.hold_reason, s.token_rejected_at, s.broken_at, s.break_reason, s.probe_after,
       CASE WHEN s.blocked_until > now() THEN s.blocked_until END AS blocked_until, s.block_reason,
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
       latest.id AS last_run_id, latest.host AS last_run_host, latest.heartbeat_at AS last_run_at,
       latest.ending AS last_run_ending,
       busy.per_second
FROM client c
JOIN mailing g ON g.id = %(mailing_id)s::bigint
CROSS JOIN service s
LEFT JOIN mailing_window w ON w.shard = %(shard)s::smallint AND w.mailing_id = g.id AND w.zone = c.timezone
LEFT JOIN message m ON m.shard = %(shard)s::smallint AND m.mailing_id = g.id AND m.client_id = c.id
LEFT JOIN retry r
    ON r.shard = %(shard)s::smallint AND r.mailing_id = g.id AND r.client_id = c.id AND m.status = 'retrying'
LEFT JOIN LATERAL (
    SELECT x.run_id, x.lease_until, array_position(x.client_ids, c.id) <= x.started AS started
    FROM claim x
    WHERE x.shard = %(shard)s::smallint
      AND x.mailing_id = g.id
      AND m.status = 'sending'
      AND c.id = ANY (x.client_ids)
    LIMIT 1
) claim ON true
LEFT JOIN run ON run.id = coalesce(claim.run_id, m.run_id)
LEFT JOIN LATERAL (
    SELECT a.attempted_at, a.error
    FROM attempt a
    WHERE a.shard = %(shard)s::smallint AND a.mailing_id = g.id AND a.client_id = c.id
    ORDER BY a.attempted_at DESC
    LIMIT 1
) tried ON true
LEFT JOIN LATERAL (
    SELECT e.at, e.actor, e.new
    FROM event e
    WHERE e.client_id = c.id AND e.mailing_id = g.id AND e.action = 'message resolved'
    ORDER BY e.at DESC
    LIMIT 1
) settled ON true
LEFT JOIN LATERAL (
    SELECT e.at, e.action, e.new
    FROM event e
    WHERE e.client_id = c.id AND e.action IN ('client muted', 'client removed', 'client erased')
    ORDER BY e.at DESC
    LIMIT 1
) gone ON true
LEFT JOIN LATERAL (
    SELECT e.at, e.actor
    FROM event e
    WHERE e.mailing_id = g.id AND e.action = 'mailing ' || g.state
    ORDER BY e.at DESC
    LIMIT 1
) became ON true
LEFT JOIN LATERAL (
    SELECT x.id, x.host, x.heartbeat_at, x.ending
    FROM (SELECT id, host, heartbeat_at, ending FROM run ORDER BY id DESC LIMIT 50) AS x
    ORDER BY x.heartbeat_at DESC
    LIMIT 1
) latest ON true
LEFT JOIN LATERAL (
    SELECT round(
               sum(x.sent + x.failed + x.unknown)
               / greatest(1, extract(epoch FROM max(x.heartbeat_at) - min(x.started_at))), 1
           )::float8 AS per_second
    FROM (SELECT * FROM run ORDER BY id DESC LIMIT 50) AS x
    WHERE x.sent > 0 AND x.heartbeat_at > now() - interval '90 seconds'
) busy ON true
WHERE c.id = %(client_id)s::bigint
