-- What went wrong with attempts on one day, most frequent first.
SELECT mailing_id AS mailing, http_status, error, count(*)::bigint AS count
FROM attempt
WHERE shard = ANY (%(shards)s::smallint[])
  AND mailing_id = ANY (%(mailings)s::bigint[])
  AND attempted_at >= %(begins)s
  AND attempted_at < %(ends)s
GROUP BY 1, 2, 3
ORDER BY count DESC, 1, 2, 3
LIMIT 10
