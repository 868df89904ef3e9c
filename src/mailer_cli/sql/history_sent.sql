-- What the service accepted, of one client or one message: the other end of its failed attempts. Not asked
-- of a whole mailing, for those are millions, and the reports count them.
SELECT *
FROM (
    SELECT m.sent_at AS at, m.mailing_id, m.client_id, m.phone, m.attempts, m.http_status, m.run_id, run.host
    FROM message m
    LEFT JOIN run ON run.id = m.run_id
    WHERE m.shard = %(shard)s::smallint
      AND m.client_id = %(client_id)s::bigint
      AND m.mailing_id = ANY (
          ARRAY(
              SELECT c.mailing_id
              FROM counter c
              WHERE c.shard = %(shard)s::smallint
                AND (%(mailing_id)s::bigint IS NULL OR c.mailing_id = %(mailing_id)s::bigint)
          )
      )
      AND m.status = 'sent'
      AND (%(since)s::timestamptz IS NULL OR m.sent_at >= %(since)s::timestamptz)
    ORDER BY m.sent_at DESC, m.mailing_id DESC
    LIMIT %(limit)s::bigint
) AS newest
ORDER BY at, mailing_id
