-- The requests that were not accepted; the one that was is the message itself.
SELECT attempted_at, attempt, status, http_status, error, run_id
FROM attempt
WHERE shard = %(shard)s::smallint
  AND mailing_id = %(mailing_id)s::bigint
  AND client_id = %(client_id)s::bigint
ORDER BY attempted_at
