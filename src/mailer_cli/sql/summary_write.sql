-- What the messages of a mailing add up to by one aspect, with the counters it was true for.
INSERT INTO summary (mailing_id, aspect, counts, parts)
VALUES (%(mailing_id)s, %(aspect)s, %(counts)s::bigint[], %(parts)s::jsonb)
ON CONFLICT (mailing_id, aspect) DO UPDATE SET counts = excluded.counts, parts = excluded.parts
