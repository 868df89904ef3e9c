-- Mailings whose windows may still matter: a cancelled one counts until its last client is accounted for.
SELECT id AS mailing_id, starts_at, ends_at, zone, hours, weekdays
FROM mailing
WHERE finished_at IS NULL
  AND state <> 'draft'
  AND (%(mailing_ids)s::bigint[] IS NULL OR id = ANY (%(mailing_ids)s))
ORDER BY id
