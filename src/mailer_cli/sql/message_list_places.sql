-- Where messages of these statuses are, and how many: the counters know, so that three in doubt among a
-- hundred million are not searched for. Newest mailing first; of a purged one there are only the counters.
SELECT c.mailing_id,
       array_agg(c.shard ORDER BY c.shard)::int[] AS shards,
       sum(wanted.messages)::bigint AS messages
FROM counter c
CROSS JOIN LATERAL (
    SELECT sum(s.messages) AS messages
    FROM (
        VALUES ('sending', c.sending), ('retrying', c.retrying), ('sent', c.sent), ('failed', c.failed),
               ('unknown', c.unknown), ('expired', c.expired), ('cancelled', c.cancelled)
    ) AS s (status, messages)
    WHERE s.status = ANY (%(statuses)s::text[])
) AS wanted
WHERE c.shard = ANY (%(shards)s::smallint[])
  AND (%(mailing_id)s::bigint IS NULL OR c.mailing_id = %(mailing_id)s::bigint)
  AND wanted.messages > 0
  AND NOT EXISTS (SELECT FROM mailing g WHERE g.id = c.mailing_id AND g.purged_at IS NOT NULL)
GROUP BY c.mailing_id
ORDER BY c.mailing_id DESC
