-- The status of one message, to say why something cannot be done to it.
SELECT status
FROM message
WHERE shard = %(shard)s AND mailing_id = %(mailing_id)s AND client_id = %(client_id)s
