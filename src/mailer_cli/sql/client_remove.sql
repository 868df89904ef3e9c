-- By the database's clock, as with muting; the row stays, for messages point to it.
UPDATE client SET removed_at = now() WHERE id = %(client_id)s
