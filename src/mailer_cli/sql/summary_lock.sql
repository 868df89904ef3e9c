-- What was read of messages is written, and persons are erased from what was written, one after the other: else
-- a breakdown read before somebody was erased could be written after.
SELECT pg_advisory_xact_lock(hashtext('mailer summary'))
