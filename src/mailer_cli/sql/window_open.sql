-- The audience is frozen here: the cursor will not go past the last client who registered in time.
UPDATE mailing_window w
SET state = 'open', frozen_at = now(), last_client_id = o.last_client_id
FROM unnest(%(mailing_ids)s::bigint[], %(zones)s::text[], %(last_client_ids)s::bigint[])
    AS o (mailing_id, zone, last_client_id)
WHERE w.shard = %(shard)s AND w.mailing_id = o.mailing_id AND w.zone = o.zone AND w.state = 'planned'
