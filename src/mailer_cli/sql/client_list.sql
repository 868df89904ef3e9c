-- In the order of the primary key, so that a cursor can hand out millions without sorting them.
SELECT id, phone, operator_code, tag, timezone, muted_at, mute_reason, created_at
FROM client
WHERE removed_at IS NULL
  AND (cardinality(%(operator_codes)s::text[]) = 0 OR operator_code = ANY (%(operator_codes)s::text[]))
  AND (cardinality(%(tags)s::text[]) = 0 OR tag = ANY (%(tags)s::text[]))
  AND (cardinality(%(timezones)s::text[]) = 0 OR timezone = ANY (%(timezones)s::text[]))
  AND (%(muted)s::boolean IS NULL OR (muted_at IS NOT NULL) = %(muted)s::boolean)
ORDER BY id
LIMIT %(limit)s
