-- The service accepts the token again.
UPDATE service SET token_rejected_at = NULL WHERE id = 1 AND token_rejected_at IS NOT NULL
