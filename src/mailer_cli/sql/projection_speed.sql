-- How fast it goes: what the runs under way make together, else what the last one did that sent enough to
-- tell. A run that was killed says nothing after its last heartbeat. Only the latest runs are read.
WITH latest AS (
    SELECT sent,
           greatest(1, extract(epoch FROM heartbeat_at - started_at))::float8 AS seconds,
           ended_at IS NULL AND heartbeat_at > now() - interval '10 seconds' AS running,
           id
    FROM (SELECT * FROM run ORDER BY id DESC LIMIT 1500) AS recent
)
SELECT (SELECT sum(sent / seconds) FROM latest WHERE running AND sent >= %(enough)s) AS now,
       (SELECT sent / seconds FROM latest WHERE sent >= %(enough)s ORDER BY id DESC LIMIT 1) AS before,
       CASE WHEN quota_day = floor(extract(epoch FROM now()) / 86400)::int THEN quota_used ELSE 0 END AS used_today
FROM service
