-- The first dispatch makes this database the one that sends; see `service_state`.
UPDATE service SET home = %(home)s WHERE id = 1 AND home IS NULL
