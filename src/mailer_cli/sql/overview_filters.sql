-- Whom these mailings are meant for.
SELECT id AS mailing, operator_codes, tags FROM mailing WHERE id = ANY (%(mailings)s::bigint[])
