-- Mailings that were over before an instant and have messages, or attempts, left: all of them, or, where a
-- purge was interrupted, the rest. While anything of a mailing is under way it is not over, whatever is noted.
SELECT m.id AS mailing, m.finished_at, m.purged_at, rest.messages, rest.attempts
FROM mailing m
CROSS JOIN LATERAL (
    SELECT CASE
               WHEN m.purged_at IS NULL THEN (
                   SELECT coalesce(sum(c.sent + c.failed + c.unknown + c.expired + c.cancelled), 0)::bigint
                   FROM counter c
                   WHERE c.shard = ANY (%(shards)s::smallint[]) AND c.mailing_id = m.id
               )
               ELSE (
                   SELECT count(*)
                   FROM message x
                   WHERE x.shard = ANY (%(shards)s::smallint[]) AND x.mailing_id = m.id
               )
           END AS messages,
           (
               SELECT count(*)
               FROM attempt a
               WHERE a.shard = ANY (%(shards)s::smallint[]) AND a.mailing_id = m.id
           ) AS attempts
) AS rest
WHERE m.finished_at < %(before)s
  AND m.state IN ('cancelled', 'finished')
  AND rest.messages + rest.attempts > 0
  AND (%(mailing)s::bigint IS NULL OR m.id = %(mailing)s::bigint)
  AND NOT EXISTS (SELECT FROM mailing_window w WHERE w.mailing_id = m.id AND w.state <> 'closed')
  AND NOT EXISTS (
      SELECT
      FROM counter c
      WHERE c.shard = ANY (%(shards)s::smallint[]) AND c.mailing_id = m.id AND c.sending + c.retrying > 0
  )
ORDER BY m.id
