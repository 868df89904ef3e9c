-- Why the latest request of a run was not taken: found from the end of the index on time, where it is one of the
-- first rows.
SELECT error
FROM attempt
WHERE run_id = %(run_id)s
ORDER BY attempted_at DESC
LIMIT 1
