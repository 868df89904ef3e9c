-- Whether one host's dispatches come round, asked every minute: the seconds since its latest began, by the
-- database's clock. Only the latest rows are read, however many there are.
SELECT extract(epoch FROM now() - max(started_at))::float8
FROM (SELECT host, started_at FROM run ORDER BY id DESC LIMIT 1000) AS latest
WHERE host = %(host)s
