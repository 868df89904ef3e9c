-- Wait for whoever is claiming a message to this client again; retries first, as claimers do.
SELECT mailing_id
FROM retry
WHERE shard = %(shard)s
  AND client_id = %(client_id)s
  AND mailing_id = ANY (ARRAY(SELECT c.mailing_id FROM counter c WHERE c.shard = %(shard)s))
ORDER BY mailing_id
FOR UPDATE
