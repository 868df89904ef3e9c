-- The service asked everybody to wait (Retry-After with 429 or 503).
UPDATE service
SET blocked_until = greatest(blocked_until, now() + make_interval(secs => %(seconds)s)), block_reason = %(reason)s
WHERE id = 1
