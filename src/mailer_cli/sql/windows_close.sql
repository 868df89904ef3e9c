-- Over, and every client of the audience has a message: closed for good.
UPDATE mailing_window
SET state = 'closed'
WHERE shard = %(shard)s
  AND state = 'scanned'
  AND (closes_at <= now() OR mailing_id IN (SELECT id FROM mailing WHERE state = 'cancelled'))
RETURNING mailing_id
