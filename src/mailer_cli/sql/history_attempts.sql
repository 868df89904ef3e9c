-- Requests that were not accepted, by when they were made. Each way of asking has its index: all by time, a
-- mailing's by time, a run's within the time it took (give or take the two clocks), and a client's, or a
-- message's, by the primary key, a probe for each mailing that has messages in the client's shard.
SELECT newest.*, run.host
FROM (
    SELECT mailing_id, client_id, attempted_at AS at, attempt, status, http_status, error, run_id
    FROM attempt
    WHERE (%(since)s::timestamptz IS NULL OR attempted_at >= %(since)s::timestamptz)
      AND (%(mailing_id)s::bigint IS NULL OR mailing_id = %(mailing_id)s::bigint)
      AND (
          %(client_id)s::bigint IS NULL
          OR (
              shard = %(shard)s::smallint
              AND client_id = %(client_id)s::bigint
              AND (
                  %(mailing_id)s::bigint IS NOT NULL
                  OR mailing_id = ANY (
                      ARRAY(SELECT c.mailing_id FROM counter c WHERE c.shard = %(shard)s::smallint)
                  )
              )
          )
      )
      AND (
          %(run_id)s::bigint IS NULL
          OR (
              run_id = %(run_id)s::bigint
              AND attempted_at >= (
                  SELECT started_at - interval '1 hour' FROM run WHERE id = %(run_id)s::bigint
              )
              AND attempted_at <= (
                  SELECT heartbeat_at + interval '1 hour' FROM run WHERE id = %(run_id)s::bigint
              )
          )
      )
    ORDER BY attempted_at DESC
    LIMIT %(limit)s::bigint
) AS newest
LEFT JOIN run ON run.id = newest.run_id
ORDER BY newest.at, newest.mailing_id, newest.client_id
