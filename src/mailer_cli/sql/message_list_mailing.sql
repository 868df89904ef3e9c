-- A mailing without messages and a mailing that does not exist are not the same answer.
SELECT id FROM mailing WHERE id = %(mailing_id)s::bigint
