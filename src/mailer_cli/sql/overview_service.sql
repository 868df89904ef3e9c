-- How the service has done of late: every request of the runs heard of within the last minutes.
WITH latest AS (
    SELECT *
    FROM (SELECT * FROM run ORDER BY id DESC LIMIT 50) AS newest
    WHERE heartbeat_at > now() - make_interval(secs => %(seconds)s)
)
SELECT coalesce(sum(sent), 0)::bigint AS accepted,
       coalesce(sum(sent + failed + unknown + retrying), 0)::bigint AS answered,
       (
           SELECT coalesce(array_agg(requests ORDER BY bucket), '{}')
           FROM (
               SELECT bucket, sum(number)::bigint AS requests
               FROM latest CROSS JOIN unnest(latest.latencies) WITH ORDINALITY AS each (number, bucket)
               GROUP BY bucket
           ) AS summed
       ) AS latencies
FROM latest
