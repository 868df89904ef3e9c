-- By the database's clock: whoever was muted after an audience was frozen gets a cancelled message.
UPDATE client SET muted_at = now(), mute_reason = %(reason)s WHERE id = %(client_id)s
