-- Mailings that may still send something, drafts included: whoever looks ahead says why they are left alone.
SELECT id AS mailing_id, starts_at, ends_at, zone, hours, weekdays, state, priority
FROM mailing
WHERE finished_at IS NULL AND state <> 'cancelled'
ORDER BY id
