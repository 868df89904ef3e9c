-- The same under the lock that an edit of the mailing takes: while somebody decides about its messages nobody
-- purges them, and the other way round.
SELECT purged_at FROM mailing WHERE id = %(mailing_id)s::bigint FOR NO KEY UPDATE
