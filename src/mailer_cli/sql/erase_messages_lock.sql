-- All messages to one client, by a probe for each mailing that has messages in the client's shard.
SELECT mailing_id, status
FROM message
WHERE shard = %(shard)s
  AND client_id = %(client_id)s
  AND mailing_id = ANY (ARRAY(SELECT c.mailing_id FROM counter c WHERE c.shard = %(shard)s))
ORDER BY mailing_id
FOR UPDATE
