-- Changes of this client, and all others that seem to quote one of its numbers: every change is looked at.
SELECT id, client_id, old, new
FROM event
WHERE client_id = %(client_id)s
   OR old::text ~ %(pattern)s
   OR new::text ~ %(pattern)s
ORDER BY id
