-- How many clients match a filter, as the planner estimates it: nothing is read.
EXPLAIN (FORMAT JSON)
SELECT
FROM client
WHERE muted_at IS NULL
  AND removed_at IS NULL
  AND (cardinality(%(operator_codes)s::text[]) = 0 OR operator_code = ANY (%(operator_codes)s::text[]))
  AND (cardinality(%(tags)s::text[]) = 0 OR tag = ANY (%(tags)s::text[]))
