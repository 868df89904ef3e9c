-- Mailings of which something was sent on a day, or some window of which closed on it. `earliest` is a
-- wall-clock time: what ended before it was over in every zone.
SELECT m.id AS mailing, coalesce(sum(p.sent), 0)::bigint AS sent
FROM mailing m
LEFT JOIN pace p
    ON p.shard = ANY (%(shards)s::smallint[])
    AND p.mailing_id = m.id
    AND p.hour >= %(begins)s
    AND p.hour < %(ends)s
WHERE m.state <> 'draft'
  AND m.ends_at >= %(earliest)s
GROUP BY m.id
HAVING sum(p.sent) > 0
    OR EXISTS (
        SELECT
        FROM mailing_window w
        WHERE w.mailing_id = m.id AND w.shard = 0 AND w.closes_at >= %(begins)s AND w.closes_at < %(ends)s
    )
ORDER BY m.id DESC
