-- Since when a mailing has sums only; nothing if it still has its messages.
SELECT purged_at FROM mailing WHERE id = %(mailing_id)s::bigint
