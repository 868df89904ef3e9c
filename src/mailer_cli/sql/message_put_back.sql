-- Messages of one shard that the operator wants tried again, while their client's window is open and the
-- client is still to be written to. Nothing of their past is changed but the status.
UPDATE message m
SET status = 'retrying'
FROM client c
JOIN mailing_window w ON w.shard = %(shard)s AND w.mailing_id = %(mailing_id)s AND w.zone = c.timezone
WHERE m.shard = %(shard)s
  AND m.mailing_id = %(mailing_id)s
  AND m.client_id = c.id
  AND c.shard = %(shard)s
  AND m.status = ANY (%(statuses)s::text[])
  AND (%(code)s::int IS NULL OR m.http_status = %(code)s::int)
  AND c.muted_at IS NULL
  AND c.removed_at IS NULL
  AND w.closes_at > now() + make_interval(secs => %(margin)s)
RETURNING m.client_id
