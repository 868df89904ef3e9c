-- The service takes messages: every dispatcher may go on. A run that was not the prober leaves it as it is.
UPDATE service
SET token_rejected_at = NULL, broken_at = NULL, break_reason = NULL, breaks = 0, probe_after = NULL,
    probe_run_id = NULL, probe_until = NULL, tally_since = NULL, tally_total = 0, tally_errors = 0
WHERE id = 1 AND probe_run_id = %(run_id)s
