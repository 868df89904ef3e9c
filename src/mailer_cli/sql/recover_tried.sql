-- Messages that may have been sent though this database says that they are under way, or waiting for a retry
-- whose time has come; some at a time.
SELECT m.mailing_id, m.client_id, m.status
FROM message m
WHERE m.shard = %(shard)s
  AND m.mailing_id = %(mailing_id)s
  AND (
      m.status = 'sending'
      OR (
          m.status = 'retrying'
          AND EXISTS (
              SELECT FROM retry r
              WHERE r.shard = m.shard AND r.mailing_id = m.mailing_id AND r.client_id = m.client_id
                AND r.retry_at <= now()
          )
      )
  )
ORDER BY m.mailing_id, m.client_id
LIMIT %(most)s
FOR UPDATE OF m
