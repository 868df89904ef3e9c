-- One probe of the primary key for each mailing that has messages in the client's shard.
SELECT m.mailing_id * 4294967296 + m.client_id AS id,
       m.mailing_id, m.client_id, m.phone, m.status, m.attempts, m.created_at, m.sent_at,
       m.http_status, m.error,
       r.retry_at
FROM message m
LEFT JOIN retry r
    ON r.shard = m.shard
    AND r.mailing_id = m.mailing_id
    AND r.client_id = m.client_id
    AND m.status = 'retrying'
WHERE m.shard = %(shard)s::smallint
  AND m.mailing_id = ANY (%(mailing_ids)s::bigint[])
  AND m.client_id = %(client_id)s::bigint
  AND m.status = ANY (%(statuses)s::text[])
ORDER BY m.mailing_id DESC
