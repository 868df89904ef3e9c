-- One row that every dispatcher's start statement reads: nothing is started anywhere from now on.
UPDATE service
SET held_at = coalesce(held_at, now()), held_by = %(actor)s, hold_reason = %(reason)s
WHERE id = 1
