-- Claims of which everything is started, or handed back, and recorded. One that was taken over meanwhile is
-- not ours to delete; and one with an unstarted rest is left to lapse, whatever we believe of it.
DELETE FROM claim
WHERE shard = %(shard)s
  AND id = ANY (%(ids)s)
  AND run_id = %(run_id)s
  AND started = cardinality(client_ids)
