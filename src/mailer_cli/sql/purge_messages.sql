-- The next few messages of one mailing in one shard, by key: dead rows behind the cursor are not read again,
-- and a second purge that takes the same ones finds them gone and goes on.
WITH reach AS MATERIALIZED (
    SELECT max(client_id) AS client_id
    FROM (
        SELECT client_id
        FROM message
        WHERE shard = %(shard)s AND mailing_id = %(mailing_id)s AND client_id > %(after)s
        ORDER BY client_id
        LIMIT %(batch)s
    ) AS batch
),
removed AS (
    DELETE FROM message
    WHERE shard = %(shard)s
      AND mailing_id = %(mailing_id)s
      AND client_id > %(after)s
      AND client_id <= (SELECT client_id FROM reach)
    RETURNING client_id
)
SELECT (SELECT client_id FROM reach) AS reached, (SELECT count(*) FROM removed) AS removed
