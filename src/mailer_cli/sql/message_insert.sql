-- The primary key (shard, mailing, client) is what keeps a client from being claimed twice; what is
-- returned is ours. In the order of the key, so that two claims cannot wait for each other. A purged mailing
-- has lost its keys, and with them what says who has got it: nobody is claimed for it, whatever its state.
INSERT INTO message (shard, mailing_id, client_id, phone, status, error)
SELECT %(shard)s, %(mailing_id)s, c.client_id, c.phone, c.status, %(error)s::text
FROM unnest(%(client_ids)s::bigint[], %(phones)s::text[], %(statuses)s::text[]) AS c (client_id, phone, status)
WHERE NOT EXISTS (SELECT FROM mailing g WHERE g.id = %(mailing_id)s AND g.purged_at IS NOT NULL)
ORDER BY c.client_id
ON CONFLICT (shard, mailing_id, client_id) DO NOTHING
RETURNING client_id, status
