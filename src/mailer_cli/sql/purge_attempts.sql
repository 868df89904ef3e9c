-- The next few attempts of one mailing in one shard, by key, and with the last of them all others of the same
-- client: a handful, as many as a message may be tried.
WITH reach AS MATERIALIZED (
    SELECT max(client_id) AS client_id
    FROM (
        SELECT client_id
        FROM attempt
        WHERE shard = %(shard)s AND mailing_id = %(mailing_id)s AND client_id > %(after)s
        ORDER BY client_id
        LIMIT %(batch)s
    ) AS batch
),
removed AS (
    DELETE FROM attempt
    WHERE shard = %(shard)s
      AND mailing_id = %(mailing_id)s
      AND client_id > %(after)s
      AND client_id <= (SELECT client_id FROM reach)
    RETURNING client_id
)
SELECT (SELECT client_id FROM reach) AS reached, (SELECT count(*) FROM removed) AS removed
