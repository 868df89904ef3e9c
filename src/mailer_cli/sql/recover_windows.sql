-- Windows in which somebody may have been sent to since an instant, and whose audience is not claimed to its end:
-- of whoever comes next it is not known whether they were. In the order in which dispatchers take them.
SELECT w.shard, w.mailing_id, m.version, m.text, m.operator_codes, m.tags, w.zone, w.closes_at,
       w.sendable_until, greatest(w.opens_at, w.sendable_from, m.activated_at) AS due_at, w.frozen_at, w.last_client_id, w.position, w.catching_up,
       'unknown' AS fate, %(error)s::text AS error
FROM mailing_window w
JOIN mailing m ON m.id = w.mailing_id
WHERE w.shard = %(shard)s
  AND w.state = 'open'
  AND w.opens_at <= now()
  AND w.closes_at > %(since)s
  AND m.state IN ('active', 'paused')
  AND (%(mailing_id)s::bigint IS NULL OR m.id = %(mailing_id)s::bigint)
ORDER BY w.closes_at, m.priority DESC, w.mailing_id, w.zone
FOR UPDATE OF w
