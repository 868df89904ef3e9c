-- Runs by when they ended, or by when they started if they have not. Cron starts one a minute, and most have
-- nothing to do: unless asked for, those are left out.
SELECT *
FROM (
    SELECT coalesce(ended_at, started_at) AS at, now() AS now, id, host, pid, started_at, heartbeat_at, ended_at,
           claimed, sent, retrying, failed, unknown, expired, cancelled, ending
    FROM run
    WHERE (%(run_ids)s::bigint[] IS NULL OR id = ANY (%(run_ids)s::bigint[]))
      AND (%(since)s::timestamptz IS NULL OR coalesce(ended_at, started_at) >= %(since)s::timestamptz)
      AND (
          %(idle)s::boolean
          OR ended_at IS NULL
          OR ending NOT IN ('done', 'held')
          OR claimed + sent + retrying + failed + unknown + expired + cancelled > 0
      )
    ORDER BY coalesce(ended_at, started_at) DESC, id DESC
    LIMIT %(limit)s::bigint
) AS newest
ORDER BY at, id
