-- Who has looked at the database as it was long ago: what was dead since then cannot be tidied up. What a
-- session asks is not shown, for it may quote a person.
SELECT pid, concat_ws(' of ', nullif(application_name, ''), usename) AS who, 'a transaction' AS what,
       extract(epoch FROM now() - xact_start)::float8 AS seconds
FROM pg_stat_activity
WHERE datname = current_database()
  AND pid <> pg_backend_pid()
  AND xact_start < now() - make_interval(secs => %(seconds)s)
UNION ALL
SELECT NULL, owner, 'a prepared transaction', extract(epoch FROM now() - prepared)::float8
FROM pg_prepared_xacts
WHERE database = current_database() AND prepared < now() - make_interval(secs => %(seconds)s)
ORDER BY seconds DESC
LIMIT 5
