-- How late messages were sent on one day: the histogram of all mailings together.
SELECT bucket, sum(sent)::bigint AS sent, max(latest) AS latest
FROM pace
WHERE shard = ANY (%(shards)s::smallint[])
  AND mailing_id = ANY (%(mailings)s::bigint[])
  AND hour >= %(begins)s
  AND hour < %(ends)s
GROUP BY 1
