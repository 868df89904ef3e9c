-- The demonstration may be run again: its clients are the same each time, and are added once. Registered a
-- while ago, so that a mailing made now has them in its audience.
INSERT INTO client (phone, operator_code, tag, timezone, created_at)
SELECT c.*, now() - interval '30 days'
FROM unnest(%(phones)s::text[], %(operator_codes)s::text[], %(tags)s::text[], %(timezones)s::text[]) AS c
ON CONFLICT (phone) DO NOTHING
