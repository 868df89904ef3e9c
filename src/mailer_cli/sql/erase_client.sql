-- The row stays, for messages point to it; operator code and zone stay, for reports are broken down by them.
UPDATE client
SET phone = 'erased ' || CAST(id AS text), tag = NULL, mute_reason = NULL, removed_at = coalesce(removed_at, now())
WHERE id = %(client_id)s
