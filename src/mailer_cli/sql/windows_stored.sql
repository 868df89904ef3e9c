-- The windows of a zone are alike in all shards and written in one transaction: shard 0 speaks for all.
SELECT mailing_id, zone, opens_at, closes_at, sendable_from, sendable_until, state
FROM mailing_window
WHERE shard = 0 AND mailing_id = ANY (%(mailing_ids)s)
