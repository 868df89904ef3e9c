-- Windows to open. In the audience is who registered before `frozen_by`: before the window opened, or, where
-- that was over already, before the mailing was made.
SELECT w.mailing_id, w.zone, greatest(w.opens_at, m.activated_at) AS frozen_by
FROM mailing_window w
JOIN mailing m ON m.id = w.mailing_id
WHERE w.shard = %(shard)s AND w.state = 'planned' AND (w.opens_at <= now() OR m.state = 'cancelled')
ORDER BY w.mailing_id, w.zone
FOR UPDATE OF w SKIP LOCKED
