-- When messages were sent, by the hour in UTC: a row per hour in the histogram, however many messages.
SELECT mailing_id AS mailing, hour, sum(sent)::bigint AS sent
FROM pace
WHERE shard = ANY (%(shards)s::smallint[])
  AND mailing_id = ANY (%(mailings)s::bigint[])
GROUP BY 1, 2
ORDER BY 1 DESC, 2
