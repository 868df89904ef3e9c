-- What went wrong, most frequent first, each with one message to look at. What was sent in the end is no
-- error any more, whatever was noted on the way.
SELECT mailing_id AS mailing,
       http_status,
       error,
       count(*) AS count,
       min(mailing_id * 4294967296 + client_id) AS message_id,
       count(*) FILTER (WHERE status = 'sending') AS sending,
       count(*) FILTER (WHERE status = 'retrying') AS retrying,
       count(*) FILTER (WHERE status = 'sent') AS sent,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE status = 'unknown') AS unknown,
       count(*) FILTER (WHERE status = 'expired') AS expired,
       count(*) FILTER (WHERE status = 'cancelled') AS cancelled
FROM message
WHERE shard = ANY (%(shards)s::smallint[])
  AND mailing_id = ANY (%(mailings)s::bigint[])
  AND status <> 'sent'
  AND (error IS NOT NULL OR http_status IS NOT NULL)
GROUP BY 1, 2, 3
ORDER BY 1 DESC, count DESC, http_status, error
