-- Statuses come from the counters: sixteen rows per mailing, however many messages it has.
SELECT m.id AS mailing, m.state, m.text, m.starts_at, m.ends_at, m.finished_at, m.purged_at, counted.*
FROM (
    SELECT *
    FROM mailing
    WHERE (%(mailing)s::bigint IS NULL OR id = %(mailing)s::bigint)
      AND (%(since)s::timestamptz IS NULL OR finished_at IS NULL OR finished_at >= %(since)s::timestamptz)
    ORDER BY id DESC
    LIMIT %(limit)s::bigint
) AS m
CROSS JOIN LATERAL (
    SELECT coalesce(sum(c.sending), 0)::bigint AS sending,
           coalesce(sum(c.retrying), 0)::bigint AS retrying,
           coalesce(sum(c.sent), 0)::bigint AS sent,
           coalesce(sum(c.failed), 0)::bigint AS failed,
           coalesce(sum(c.unknown), 0)::bigint AS unknown,
           coalesce(sum(c.expired), 0)::bigint AS expired,
           coalesce(sum(c.cancelled), 0)::bigint AS cancelled
    FROM counter c
    WHERE c.shard = ANY (%(shards)s::smallint[]) AND c.mailing_id = m.id
) AS counted
ORDER BY m.id DESC
