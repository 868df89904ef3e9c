-- New windows start planned; known ones only move in time. What is closed stays closed: each of its
-- clients has a message already.
INSERT INTO mailing_window (shard, mailing_id, zone, opens_at, closes_at, sendable_from, sendable_until)
SELECT %(shard)s, w.*
FROM unnest(
    %(mailing_ids)s::bigint[], %(zones)s::text[], %(opens_at)s::timestamptz[], %(closes_at)s::timestamptz[],
    %(sendable_from)s::timestamptz[], %(sendable_until)s::timestamptz[]
) AS w
ORDER BY 2, 3
ON CONFLICT (shard, mailing_id, zone) DO UPDATE
SET opens_at = excluded.opens_at,
    closes_at = excluded.closes_at,
    sendable_from = excluded.sendable_from,
    sendable_until = excluded.sendable_until
WHERE mailing_window.state <> 'closed'
