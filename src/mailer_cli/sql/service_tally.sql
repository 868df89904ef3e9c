-- Answers and failures of the last seconds, of every dispatcher together.
UPDATE service
SET tally_since = CASE WHEN tally_since > now() - interval '10 seconds' THEN tally_since ELSE now() END,
    tally_total = %(total)s + CASE WHEN tally_since > now() - interval '10 seconds' THEN tally_total ELSE 0 END,
    tally_errors = %(errors)s + CASE WHEN tally_since > now() - interval '10 seconds' THEN tally_errors ELSE 0 END
WHERE id = 1
RETURNING tally_total, tally_errors
