-- 401 or 403: no dispatcher has any use for this token. The start statement of each of them reads this row.
UPDATE service
SET token_rejected_at = now(), probe_run_id = NULL, probe_until = NULL
WHERE id = 1 AND (token_rejected_at IS NULL OR probe_run_id = %(run_id)s)
