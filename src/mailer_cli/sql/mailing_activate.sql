-- A draft's audience is who has registered by the time it is activated, where a window had opened already.
UPDATE mailing SET activated_at = now() WHERE id = %(mailing_id)s
