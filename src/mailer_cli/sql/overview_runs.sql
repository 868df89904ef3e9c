-- Is it running: what the latest runs did, those under way first. Only the latest rows are read.
SELECT id, host, started_at, heartbeat_at, ended_at, ending, sent,
       (sent / greatest(1, extract(epoch FROM heartbeat_at - started_at)))::float8 AS per_second,
       ended_at IS NULL AND heartbeat_at > now() - interval '10 seconds' AS running
FROM (SELECT * FROM run ORDER BY id DESC LIMIT 50) AS latest
ORDER BY running DESC, id DESC
LIMIT %(limit)s::bigint
