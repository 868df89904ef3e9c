-- The next few of those runs; what a second purge has in hand is passed over.
DELETE FROM run
WHERE id IN (
    SELECT id
    FROM run
    WHERE coalesce(ended_at, started_at) < %(before)s
      AND heartbeat_at < %(before)s
      AND id < (SELECT max(id) FROM run)
    ORDER BY coalesce(ended_at, started_at), id
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
)
