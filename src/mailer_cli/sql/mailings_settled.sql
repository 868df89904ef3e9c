-- Mailings of which nothing is under way any more; whether one is over is for the calendar to say.
SELECT m.id AS mailing_id, m.starts_at, m.ends_at, m.zone, m.hours, m.weekdays, m.state, now() AS now
FROM mailing m
WHERE m.finished_at IS NULL
  AND m.state <> 'draft'
  AND NOT EXISTS (SELECT FROM mailing_window w WHERE w.mailing_id = m.id AND w.state <> 'closed')
  AND NOT EXISTS (SELECT FROM counter c WHERE c.mailing_id = m.id AND c.sending + c.retrying > 0)
