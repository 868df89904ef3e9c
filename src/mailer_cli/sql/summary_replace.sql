-- The same sums, told without a person.
UPDATE summary SET parts = %(parts)s::jsonb WHERE mailing_id = %(mailing_id)s AND aspect = %(aspect)s
