-- One range of the primary key, in its order: the first row comes at once and nothing is ever sorted.
-- Sixteen of these are merged into one mailing's messages.
SELECT m.mailing_id * 4294967296 + m.client_id AS id,
       m.mailing_id, m.client_id, m.phone, m.status, m.attempts, m.created_at, m.sent_at,
       m.http_status, m.error,
       CASE WHEN m.status = 'retrying' THEN (
           SELECT r.retry_at
           FROM retry r
           WHERE r.shard = m.shard AND r.mailing_id = m.mailing_id AND r.client_id = m.client_id
       ) END AS retry_at
FROM message m
WHERE m.shard = %(shard)s::smallint
  AND m.mailing_id = %(mailing_id)s::bigint
  AND m.status = ANY (%(statuses)s::text[])
ORDER BY m.client_id
