-- A dispatcher that has not been heard of for the length of its lease has lost this claim.
SELECT shard, id, mailing_id, run_id, client_ids, started
FROM claim
WHERE shard = %(shard)s AND lease_until <= now()
ORDER BY lease_until
LIMIT 1
FOR UPDATE SKIP LOCKED
