-- The next clients of one window past its cursor. The budget bounds what is looked at, so that a filter
-- that matches one client in ten thousand cannot make a claim unbounded. Who was muted or removed before
-- the audience was frozen is not in it; who was muted since is, and gets a cancelled message.
-- When catching up, only those who have no message yet: their import committed late, or they moved here.
SELECT c.id AS client_id, c.phone, (c.muted_at IS NOT NULL OR c.removed_at IS NOT NULL) AS gone
FROM (
    SELECT id, phone, operator_code, tag, muted_at, removed_at
    FROM client
    WHERE timezone = %(zone)s
      AND shard = %(shard)s
      AND id > %(position)s
      AND id <= %(last_client_id)s
    ORDER BY id
    LIMIT %(budget)s
) c
WHERE (c.muted_at IS NULL OR c.muted_at >= %(frozen_at)s)
  AND (c.removed_at IS NULL OR c.removed_at >= %(frozen_at)s)
  AND (cardinality(%(operator_codes)s::text[]) = 0 OR c.operator_code = ANY (%(operator_codes)s::text[]))
  AND (cardinality(%(tags)s::text[]) = 0 OR c.tag = ANY (%(tags)s::text[]))
  AND NOT (
      %(catching_up)s
      AND EXISTS (
          SELECT FROM message m
          WHERE m.shard = %(shard)s AND m.mailing_id = %(mailing_id)s AND m.client_id = c.id
      )
  )
ORDER BY c.id
LIMIT %(wanted)s
