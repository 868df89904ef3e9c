-- Keep the count, unless the cursor has reached the end meanwhile and knows better.
UPDATE mailing_window w
SET audience = greatest(a.audience, w.claimed)
FROM unnest(%(mailing_ids)s::bigint[], %(zones)s::text[], %(audiences)s::bigint[])
    AS a (mailing_id, zone, audience)
WHERE w.shard = %(shard)s AND w.mailing_id = a.mailing_id AND w.zone = a.zone AND w.audience IS NULL
