-- Sending goes on with the next tick.
UPDATE service SET held_at = NULL, held_by = NULL, hold_reason = NULL WHERE id = 1 AND held_at IS NOT NULL
