-- Messages that are to be tried again by the instant asked about, in the zone their client is in now.
SELECT r.mailing_id, c.timezone AS zone, count(*) AS number
FROM retry r
JOIN client c ON c.id = r.client_id
JOIN mailing m ON m.id = r.mailing_id AND m.finished_at IS NULL AND m.state <> 'cancelled'
WHERE r.retry_at <= %(at)s AND c.muted_at IS NULL AND c.removed_at IS NULL
GROUP BY r.mailing_id, c.timezone
