-- Runs that began on a day, and how many of them ended badly, or never said how.
SELECT count(*)::bigint AS runs,
       count(*) FILTER (
           WHERE ending IS NULL AND heartbeat_at < now() - interval '5 minutes'
              OR ending NOT IN ('done', 'held', 'out of time', 'waiting for the service', 'stopped')
       )::bigint AS bad,
       count(DISTINCT host)::bigint AS hosts
FROM run
WHERE started_at >= %(begins)s AND started_at < %(ends)s
