-- How many purged mailings had messages in one client's shard, perhaps one to them.
SELECT count(*)
FROM mailing m
JOIN counter c ON c.shard = %(shard)s AND c.mailing_id = m.id
WHERE m.purged_at IS NOT NULL
