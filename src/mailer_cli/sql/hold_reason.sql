-- Why sending is held, on every host; nothing if it is not.
SELECT hold_reason FROM service WHERE held_at IS NOT NULL
