-- Who comes before one client: in its own window those between the cursor and the client, and in windows that
-- end sooner (then by priority, then by id) everybody still waiting. All in the client's shard: dispatchers
-- go through the sixteen side by side.
SELECT (
           SELECT count(*)
           FROM client c
           WHERE c.timezone = %(zone)s::text
             AND c.shard = %(shard)s::smallint
             AND c.id > %(after)s::bigint
             AND c.id < %(before)s::bigint
             AND (c.muted_at IS NULL OR c.muted_at >= %(frozen_at)s::timestamptz)
             AND (c.removed_at IS NULL OR c.removed_at >= %(frozen_at)s::timestamptz)
             AND (
                 cardinality(%(operator_codes)s::text[]) = 0
                 OR c.operator_code = ANY (%(operator_codes)s::text[])
             )
             AND (cardinality(%(tags)s::text[]) = 0 OR c.tag = ANY (%(tags)s::text[]))
             AND NOT (
                 %(catching_up)s::boolean
                 AND EXISTS (
                     SELECT FROM message m
                     WHERE m.shard = %(shard)s::smallint
                       AND m.mailing_id = %(mailing_id)s::bigint
                       AND m.client_id = c.id
                 )
             )
       ) AS ahead,
       (
           SELECT coalesce(sum(greatest(0, w.audience - w.claimed)), 0)::bigint
           FROM mailing_window w
           JOIN mailing m ON m.id = w.mailing_id
           WHERE w.shard = %(shard)s::smallint
             AND w.state = 'open'
             AND w.sendable_from <= now()
             AND w.sendable_until > now()
             AND m.state = 'active'
             AND (w.closes_at, -m.priority, w.mailing_id)
                 < (%(closes_at)s::timestamptz, -%(priority)s::int, %(mailing_id)s::bigint)
       ) AS ahead_elsewhere
