-- How many clients a filter matches in each zone, muted and removed ones aside.
SELECT timezone AS zone, count(*) AS clients
FROM client
WHERE muted_at IS NULL
  AND removed_at IS NULL
  AND (cardinality(%(operator_codes)s::text[]) = 0 OR operator_code = ANY (%(operator_codes)s::text[]))
  AND (cardinality(%(tags)s::text[]) = 0 OR tag = ANY (%(tags)s::text[]))
GROUP BY timezone
ORDER BY timezone
