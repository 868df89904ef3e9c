-- When messages were sent, and how late: a row per hour and bucket of lateness, in the transaction that
-- records them, so that histograms and percentiles cost the same however many messages there are.
INSERT INTO pace (shard, mailing_id, hour, bucket, sent, latest)
SELECT %(shard)s, p.*
FROM unnest(
    %(mailing_ids)s::bigint[], %(hours)s::timestamptz[], %(buckets)s::smallint[], %(sent)s::bigint[],
    %(latest)s::float8[]
) AS p
ON CONFLICT (shard, mailing_id, hour, bucket) DO UPDATE
SET sent = pace.sent + excluded.sent, latest = greatest(pace.latest, excluded.latest)
