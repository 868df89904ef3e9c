-- The runs that asked the service about one client or one message: a few probes of the primary keys.
WITH mailings AS (
    SELECT array_agg(c.mailing_id) AS ids
    FROM counter c
    WHERE c.shard = %(shard)s::smallint
      AND (%(mailing_id)s::bigint IS NULL OR c.mailing_id = %(mailing_id)s::bigint)
)
SELECT coalesce(array_agg(DISTINCT asked.run_id), '{}') AS run_ids
FROM (
    SELECT m.run_id
    FROM message m
    WHERE m.shard = %(shard)s::smallint
      AND m.client_id = %(client_id)s::bigint
      AND m.mailing_id = ANY ((SELECT ids FROM mailings)::bigint[])
    UNION ALL
    SELECT a.run_id
    FROM attempt a
    WHERE a.shard = %(shard)s::smallint
      AND a.client_id = %(client_id)s::bigint
      AND a.mailing_id = ANY ((SELECT ids FROM mailings)::bigint[])
) AS asked
WHERE asked.run_id IS NOT NULL
