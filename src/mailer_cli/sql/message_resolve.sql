-- What the operator found out about a message in doubt. Nothing else is theirs to decide. It was sent, if it
-- was, when its last attempt was made; a dispatcher that was killed has not even left that.
UPDATE message m
SET status = %(status)s,
    sent_at = CASE
        WHEN %(status)s = 'sent' THEN coalesce(
            (
                SELECT max(a.attempted_at)
                FROM attempt a
                WHERE a.shard = %(shard)s AND a.mailing_id = %(mailing_id)s AND a.client_id = %(client_id)s
            ),
            m.created_at
        )
    END
WHERE m.shard = %(shard)s
  AND m.mailing_id = %(mailing_id)s
  AND m.client_id = %(client_id)s
  AND m.status = 'unknown'
RETURNING m.sent_at
