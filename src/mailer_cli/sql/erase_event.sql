-- Who changed what and when stays on record; to what is forgotten.
UPDATE event SET old = %(old)s, new = %(new)s WHERE id = %(id)s
