-- What was kept, if nothing has changed since: a message in doubt may have been resolved.
SELECT parts
FROM summary
WHERE mailing_id = %(mailing_id)s AND aspect = %(aspect)s AND counts = %(counts)s::bigint[]
