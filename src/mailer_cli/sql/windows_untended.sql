-- Shards in which a window is to be opened, counted or closed; read once a tick, so that idle stays cheap.
SELECT w.shard,
       bool_or(w.state = 'planned') AS to_open,
       bool_or(w.state = 'open' AND w.audience IS NULL) AS to_count,
       bool_or(w.closes_at <= now() OR m.state = 'cancelled') AS to_close
FROM mailing_window w
JOIN mailing m ON m.id = w.mailing_id
WHERE w.state <> 'closed'
  AND (
      w.closes_at <= now()
      OR m.state = 'cancelled'
      OR (w.state = 'planned' AND w.opens_at <= now())
      OR (w.state = 'open' AND w.audience IS NULL)
  )
GROUP BY w.shard
ORDER BY w.shard
