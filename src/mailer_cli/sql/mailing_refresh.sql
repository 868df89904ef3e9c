-- The audience now ends with the newest client; the catch-up pass finds whoever has no message yet.
UPDATE mailing_window w
SET last_client_id = (SELECT max(id) FROM client),
    state = 'open',
    catching_up = w.catching_up OR w.state = 'scanned',
    position = CASE WHEN w.catching_up OR w.state = 'scanned' THEN 0 ELSE w.position END,
    audience = NULL
WHERE w.shard = %(shard)s
  AND w.mailing_id = %(mailing_id)s
  AND w.state IN ('open', 'scanned')
  AND w.closes_at > now()
