-- What goes wrong most, of the latest requests that failed within the hour, each with a message to look at.
SELECT http_status, error, count(*) AS count,
       (max(ARRAY[extract(epoch FROM attempted_at), mailing_id, client_id]))[2:3]::bigint[] AS sample
FROM (
    SELECT *
    FROM attempt
    WHERE attempted_at > now() - interval '1 hour'
    ORDER BY attempted_at DESC
    LIMIT 2000
) AS latest
GROUP BY 1, 2
ORDER BY count DESC, http_status, error
LIMIT %(limit)s::bigint
