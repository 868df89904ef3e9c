-- 401 or 403: no dispatcher has any use for this token; report and doctor say so.
UPDATE service SET token_rejected_at = now() WHERE id = 1
