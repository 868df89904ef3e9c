-- How many clients a filter matches: tried before a mailing is made with it.
SELECT count(*)
FROM client
WHERE removed_at IS NULL
  AND (cardinality(%(operator_codes)s::text[]) = 0 OR operator_code = ANY (%(operator_codes)s::text[]))
  AND (cardinality(%(tags)s::text[]) = 0 OR tag = ANY (%(tags)s::text[]))
  AND (cardinality(%(timezones)s::text[]) = 0 OR timezone = ANY (%(timezones)s::text[]))
  AND (%(muted)s::boolean IS NULL OR (muted_at IS NOT NULL) = %(muted)s::boolean)
