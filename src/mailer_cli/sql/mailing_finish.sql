-- A cancelled mailing stays cancelled; it only needs no more looking after.
UPDATE mailing
SET finished_at = now(), state = CASE WHEN state = 'cancelled' THEN state ELSE 'finished' END
WHERE id = ANY (%(mailing_ids)s) AND finished_at IS NULL
