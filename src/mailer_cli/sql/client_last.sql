-- The last client who registered before an instant: a walk back from the newest, usually one step. Not by
-- zone: a client who moves into a zone later is in its audience too, if registered in time.
SELECT id FROM client WHERE created_at < %(before)s ORDER BY id DESC LIMIT 1
