-- All that is known of one message. The window is that of the zone its client is in today.
SELECT m.mailing_id * 4294967296 + m.client_id AS id,
       m.mailing_id, m.client_id, m.phone, m.status, m.attempts, m.created_at, m.sent_at,
       m.http_status, m.error,
       CASE WHEN m.status = 'retrying' THEN r.retry_at END AS retry_at,
       m.run_id, run.host,
       mailing.text, mailing.state AS mailing_state,
       c.phone AS client_phone, c.operator_code, c.tag, c.timezone, c.muted_at, c.removed_at,
       w.opens_at, w.closes_at, w.sendable_from, w.sendable_until, w.state AS window_state
FROM message m
LEFT JOIN retry r ON r.shard = m.shard AND r.mailing_id = m.mailing_id AND r.client_id = m.client_id
LEFT JOIN run ON run.id = m.run_id
LEFT JOIN mailing ON mailing.id = m.mailing_id
LEFT JOIN client c ON c.id = m.client_id
LEFT JOIN mailing_window w ON w.shard = m.shard AND w.mailing_id = m.mailing_id AND w.zone = c.timezone
WHERE m.shard = %(shard)s::smallint
  AND m.mailing_id = %(mailing_id)s::bigint
  AND m.client_id = %(client_id)s::bigint
