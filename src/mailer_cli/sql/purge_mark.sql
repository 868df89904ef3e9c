-- From now on there are only sums of this mailing; committed before the first of its messages is removed.
UPDATE mailing SET purged_at = now() WHERE id = %(mailing_id)s AND purged_at IS NULL
