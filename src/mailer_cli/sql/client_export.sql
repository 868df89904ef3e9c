-- In the order of phones, which is the same in every database that has the same clients; the index on phones
-- hands them out in it without a sort.
SELECT phone, timezone, tag, operator_code, muted_at IS NOT NULL AS muted
FROM client
WHERE removed_at IS NULL
  AND (cardinality(%(operator_codes)s::text[]) = 0 OR operator_code = ANY (%(operator_codes)s::text[]))
  AND (cardinality(%(tags)s::text[]) = 0 OR tag = ANY (%(tags)s::text[]))
  AND (cardinality(%(timezones)s::text[]) = 0 OR timezone = ANY (%(timezones)s::text[]))
  AND (%(muted)s::boolean IS NULL OR (muted_at IS NOT NULL) = %(muted)s::boolean)
ORDER BY phone
