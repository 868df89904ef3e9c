-- Imports wait for each other, so that two of the same file do not wait for each other's rows instead.
SELECT pg_advisory_xact_lock(hashtext('mailer client import'))
