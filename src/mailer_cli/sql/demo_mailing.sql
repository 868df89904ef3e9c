-- One of the demonstration's mailings.
INSERT INTO mailing (text, starts_at, ends_at, tags)
VALUES (%(text)s, %(starts_at)s, %(ends_at)s, %(tags)s::text[])
RETURNING id
