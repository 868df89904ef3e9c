-- What the service answered, of messages that are still what they were when they were sent. No row is locked
-- first: for each of them that would be written ahead, too. What it must be now is a column of the results, not
-- a constant, for the planner would take messages of that status for few, and read a whole mailing to join
-- them. The run that got the last answer is kept, for whoever asks which host it was.
WITH result AS MATERIALIZED (
    SELECT *, 'sending' AS before
    FROM unnest(
        %(mailing_ids)s::bigint[], %(client_ids)s::bigint[], %(statuses)s::text[], %(turns)s::int[],
        %(attempts)s::int[], %(sent_at)s::timestamptz[], %(http_statuses)s::smallint[], %(errors)s::text[]
    ) AS r (mailing_id, client_id, status, turn, attempts, sent_at, http_status, error)
)
UPDATE message m
SET status = r.status,
    attempts = greatest(m.attempts, r.attempts),
    sent_at = r.sent_at,
    http_status = r.http_status,
    error = r.error,
    run_id = %(run_id)s
FROM result r
WHERE m.shard = %(shard)s
  AND m.mailing_id = r.mailing_id
  AND m.client_id = r.client_id
  AND m.status = r.before
  AND m.turn = r.turn
RETURNING m.mailing_id, m.client_id, r.before, m.status AS after
