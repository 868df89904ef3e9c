-- The newest first: what an operator has just made is what they look for.
SELECT id, state, starts_at, ends_at, zone, hours, weekdays, operator_codes, tags, priority, text, created_at,
       finished_at
FROM mailing
WHERE %(states)s::text[] IS NULL OR state = ANY (%(states)s::text[])
ORDER BY id DESC
