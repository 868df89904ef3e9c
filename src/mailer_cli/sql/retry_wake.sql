-- Nothing of this mailing waits any longer: its window closed, or it was resumed or cancelled.
UPDATE retry
SET retry_at = now()
WHERE shard = %(shard)s AND mailing_id = ANY (%(mailing_ids)s::bigint[]) AND retry_at > now()
