-- When messages were accepted, by the hour in UTC: the zone is named, for a session's own may be any.
SELECT mailing_id AS mailing, date_trunc('hour', sent_at, 'UTC') AS hour, count(*) AS sent
FROM message
WHERE shard = ANY (%(shards)s::smallint[])
  AND mailing_id = ANY (%(mailings)s::bigint[])
  AND status = 'sent'
  AND sent_at IS NOT NULL
GROUP BY 1, 2
ORDER BY 1 DESC, 2
