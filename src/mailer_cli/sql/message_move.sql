-- Move messages from one status to another; the ones that somebody else moved first are left alone.
-- `tried` is 1 where a request was, or may have been, made. Whoever claims it again takes another turn, so
-- that results of an earlier one are known for what they are. `run_id`, where given, is the run that may
-- have made the requests.
UPDATE message m
SET status = r.status,
    turn = m.turn + CAST(r.status = 'sending' AS int),
    attempts = m.attempts + r.tried,
    phone = coalesce(r.phone, m.phone),
    error = coalesce(r.error, m.error),
    run_id = coalesce(%(run_id)s::bigint, m.run_id)
FROM unnest(
    %(mailing_ids)s::bigint[], %(client_ids)s::bigint[], %(statuses)s::text[], %(tried)s::smallint[],
    %(phones)s::text[], %(errors)s::text[]
) AS r (mailing_id, client_id, status, tried, phone, error)
WHERE m.shard = %(shard)s
  AND m.mailing_id = r.mailing_id
  AND m.client_id = r.client_id
  AND m.status = %(before)s
RETURNING m.mailing_id, m.client_id, m.status AS after
