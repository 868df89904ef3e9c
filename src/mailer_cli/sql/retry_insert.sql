-- The delay is added to the database's clock, the only one that all dispatchers share.
INSERT INTO retry (shard, mailing_id, client_id, retry_at)
SELECT %(shard)s, r.mailing_id, r.client_id, now() + make_interval(secs => r.delay)
FROM unnest(%(mailing_ids)s::bigint[], %(client_ids)s::bigint[], %(delays)s::float8[])
    AS r (mailing_id, client_id, delay)
ON CONFLICT (shard, mailing_id, client_id) DO UPDATE SET retry_at = excluded.retry_at
