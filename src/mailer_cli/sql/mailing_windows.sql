-- How far the clock has come with a mailing: its zones, those that are over, and when the next one opens.
-- The windows of a zone are alike in all shards: shard 0 speaks for all.
SELECT count(*) AS zones,
       count(*) FILTER (WHERE closes_at <= now()) AS zones_over,
       min(sendable_from) FILTER (WHERE sendable_from > now() AND closes_at > now()) AS next_opening
FROM mailing_window
WHERE shard = 0 AND mailing_id = %(mailing_id)s
