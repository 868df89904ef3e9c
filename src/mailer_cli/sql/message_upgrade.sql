-- A success is a fact, however late, and whatever the message has become meanwhile: in doubt, handed on,
-- claimed again. What it was before is what the counters need.
WITH success AS (
    SELECT *
    FROM unnest(
        %(mailing_ids)s::bigint[], %(client_ids)s::bigint[], %(attempts)s::int[], %(sent_at)s::timestamptz[],
        %(http_statuses)s::smallint[]
    ) AS s (mailing_id, client_id, attempts, sent_at, http_status)
),
before AS (
    SELECT m.mailing_id, m.client_id, m.status
    FROM message m
    JOIN success s ON s.mailing_id = m.mailing_id AND s.client_id = m.client_id
    WHERE m.shard = %(shard)s AND m.status <> 'sent'
    ORDER BY m.mailing_id, m.client_id
    FOR UPDATE OF m
)
UPDATE message m
SET status = 'sent',
    attempts = greatest(m.attempts, s.attempts),
    sent_at = s.sent_at,
    http_status = s.http_status,
    error = NULL,
    run_id = %(run_id)s
FROM success s
JOIN before b ON b.mailing_id = s.mailing_id AND b.client_id = s.client_id
WHERE m.shard = %(shard)s AND m.mailing_id = s.mailing_id AND m.client_id = s.client_id
RETURNING m.mailing_id, m.client_id, b.status AS before, m.status AS after
