-- What was sent stays counted; to which number is forgotten.
UPDATE message
SET phone = 'erased',
    error = regexp_replace(error, %(pattern)s, 'erased', 'g')
WHERE shard = %(shard)s AND client_id = %(client_id)s AND mailing_id = ANY (%(mailing_ids)s::bigint[])
