-- How late messages were sent: the histogram of each mailing, all hours together.
SELECT mailing_id AS mailing, bucket, sum(sent)::bigint AS sent, max(latest) AS latest
FROM pace
WHERE shard = ANY (%(shards)s::smallint[])
  AND mailing_id = ANY (%(mailings)s::bigint[])
GROUP BY 1, 2
