-- Claims of which everything is recorded. One that was taken over meanwhile is not ours to delete.
DELETE FROM claim WHERE shard = %(shard)s AND id = ANY (%(ids)s) AND run_id = %(run_id)s
