-- What the service answered. A success is a fact, however late, and may upgrade a message in doubt; any
-- other result counts only if the message has not been claimed again, or given up, since. The run that got
-- the last answer is kept, for whoever asks which host it was.
WITH result AS (
    SELECT *
    FROM unnest(
        %(mailing_ids)s::bigint[], %(client_ids)s::bigint[], %(statuses)s::text[], %(turns)s::int[],
        %(attempts)s::int[], %(sent_at)s::timestamptz[], %(http_statuses)s::smallint[], %(errors)s::text[]
    ) AS r (mailing_id, client_id, status, turn, attempts, sent_at, http_status, error)
),
before AS (
    SELECT m.mailing_id, m.client_id, m.status
    FROM message m
    JOIN result r ON r.mailing_id = m.mailing_id AND r.client_id = m.client_id
    WHERE m.shard = %(shard)s
      AND (
          (m.status = 'sending' AND m.turn = r.turn)
          OR (r.status = 'sent' AND m.status <> 'sent')
      )
    ORDER BY m.mailing_id, m.client_id
    FOR UPDATE OF m
)
UPDATE message m
SET status = r.status,
    attempts = greatest(m.attempts, r.attempts),
    sent_at = r.sent_at,
    http_status = r.http_status,
    error = r.error,
    run_id = %(run_id)s
FROM result r
JOIN before b ON b.mailing_id = r.mailing_id AND b.client_id = r.client_id
WHERE m.shard = %(shard)s AND m.mailing_id = r.mailing_id AND m.client_id = r.client_id
RETURNING m.mailing_id, m.client_id, b.status AS before, m.status AS after
