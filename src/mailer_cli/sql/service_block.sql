-- Everybody waits: the service asked for it (Retry-After with 429 or 503), or the day's quota is used up.
-- A longer wait keeps its reason.
UPDATE service
SET blocked_until = now() + make_interval(secs => %(seconds)s), block_reason = %(reason)s
WHERE id = 1
  AND (blocked_until IS NULL OR blocked_until < now() + make_interval(secs => %(seconds)s))
