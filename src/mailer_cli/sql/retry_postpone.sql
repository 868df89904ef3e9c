-- Due, but not to be sent now: outside the allowed hours, or its mailing is paused.
UPDATE retry r
SET retry_at = p.retry_at
FROM unnest(%(mailing_ids)s::bigint[], %(client_ids)s::bigint[], %(retry_at)s::timestamptz[])
    AS p (mailing_id, client_id, retry_at)
WHERE r.shard = %(shard)s AND r.mailing_id = p.mailing_id AND r.client_id = p.client_id
