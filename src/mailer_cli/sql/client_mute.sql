-- By the database's clock: whoever was muted after an audience was frozen gets a cancelled message.
UPDATE client SET muted_at = now() WHERE id = %(client_id)s
