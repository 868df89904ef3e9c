-- Under the lock that `claim_lapsed` took: whoever held it finds nothing of it to start any more.
DELETE FROM claim WHERE shard = %(shard)s AND id = %(id)s
