-- Whoever held it finds nothing of it to start any more; no row if somebody else took it first.
DELETE FROM claim WHERE shard = %(shard)s AND id = %(id)s
