-- Requests that were not accepted; the accepted one is the message itself.
INSERT INTO attempt (
    shard, mailing_id, client_id, attempted_at, run_id, attempt, status, http_status, error
)
SELECT %(shard)s, a.mailing_id, a.client_id, a.attempted_at, %(run_id)s, a.attempt, a.status, a.http_status, a.error
FROM unnest(
    %(mailing_ids)s::bigint[], %(client_ids)s::bigint[], %(attempted_at)s::timestamptz[], %(attempts)s::int[],
    %(statuses)s::text[], %(http_statuses)s::smallint[], %(errors)s::text[]
) AS a (mailing_id, client_id, attempted_at, attempt, status, http_status, error)
ON CONFLICT DO NOTHING
