-- Messages of a mailing whose time to be tried has come, with all that decides what is to be done with them: the
-- client as it is now (phone, zone, muted) and the window of the zone it is in now.
SELECT r.mailing_id, r.client_id, m.turn, m.attempts, c.phone, c.timezone AS zone,
       (c.muted_at IS NOT NULL OR c.removed_at IS NOT NULL) AS gone,
       g.state AS mailing_state, g.version, g.text, w.sendable_from, w.sendable_until, w.closes_at,
       greatest(w.opens_at, w.sendable_from, g.activated_at) AS due_at, now() AS now
FROM retry r
JOIN message m ON m.shard = %(shard)s AND m.mailing_id = r.mailing_id AND m.client_id = r.client_id
JOIN mailing g ON g.id = r.mailing_id
JOIN client c ON c.id = r.client_id
LEFT JOIN mailing_window w ON w.shard = %(shard)s AND w.mailing_id = r.mailing_id AND w.zone = c.timezone
WHERE r.shard = %(shard)s AND r.mailing_id = %(mailing_id)s AND r.retry_at <= now()
ORDER BY r.retry_at
LIMIT %(wanted)s
FOR UPDATE OF r SKIP LOCKED
