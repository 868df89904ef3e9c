-- Sending goes on with the next tick; an operator may also cut short what made everybody wait.
UPDATE service
SET held_at = NULL, held_by = NULL, hold_reason = NULL, blocked_until = NULL, block_reason = NULL
WHERE id = 1 AND (held_at IS NOT NULL OR blocked_until > now())
