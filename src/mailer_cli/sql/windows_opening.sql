-- Windows to open, with the last client who registered in time: before the window opened, or, where it
-- had opened already, before the mailing was made. A walk back from the newest client, usually one step.
SELECT w.mailing_id, w.zone, (
    SELECT c.id
    FROM client c
    WHERE c.timezone = w.zone
      AND c.shard = %(shard)s
      AND c.created_at < greatest(w.opens_at, m.activated_at)
    ORDER BY c.id DESC
    LIMIT 1
) AS last_client_id
FROM mailing_window w
JOIN mailing m ON m.id = w.mailing_id
WHERE w.shard = %(shard)s AND w.state = 'planned' AND (w.opens_at <= now() OR m.state = 'cancelled')
ORDER BY w.mailing_id, w.zone
FOR UPDATE OF w SKIP LOCKED
