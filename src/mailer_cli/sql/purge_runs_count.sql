-- Runs that ended, or, if they never did, were last heard of, before an instant. The newest run stays: that
-- dispatch ran at all is the first thing an operator asks.
SELECT count(*)
FROM run
WHERE coalesce(ended_at, started_at) < %(before)s
  AND heartbeat_at < %(before)s
  AND id < (SELECT max(id) FROM run)
