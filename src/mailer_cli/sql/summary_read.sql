-- What was kept, if nothing has changed since: a message in doubt may have been resolved. Nothing can change
-- where the messages were purged.
SELECT parts
FROM summary
WHERE mailing_id = %(mailing_id)s AND aspect = %(aspect)s AND (%(purged)s OR counts = %(counts)s::bigint[])
