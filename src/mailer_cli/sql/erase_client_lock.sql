-- Nobody changes this client meanwhile; claimers are stopped by the lock on their windows.
SELECT phone, tag, timezone FROM client WHERE id = %(client_id)s FOR NO KEY UPDATE
