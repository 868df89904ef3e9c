-- Mailings that could be sent at some time since an instant, and how many of each may be in doubt: under way or
-- retrying by the counters, and not claimed by the windows; a window that was never counted tells nothing.
SELECT m.id AS mailing_id,
       coalesce((SELECT sum(c.sending + c.retrying) FROM counter c WHERE c.mailing_id = m.id), 0)::bigint AS tried,
       coalesce(sum(greatest(w.audience - w.claimed, 0)) FILTER (WHERE w.state = 'open'), 0)::bigint AS waiting
FROM mailing m
JOIN mailing_window w ON w.mailing_id = m.id
WHERE m.state IN ('active', 'paused')
  AND m.finished_at IS NULL
  AND w.opens_at <= now()
  AND w.closes_at > %(since)s
  AND (%(mailing_id)s::bigint IS NULL OR m.id = %(mailing_id)s::bigint)
GROUP BY m.id
ORDER BY m.id
