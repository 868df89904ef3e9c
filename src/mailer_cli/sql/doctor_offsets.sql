-- What PostgreSQL holds for the present offset of these zones.
SELECT name, utc_offset AS offset FROM pg_timezone_names WHERE name = ANY (%(zones)s::text[])
