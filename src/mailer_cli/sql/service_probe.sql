-- One dispatcher at a time may try the service with one message, under a lease of its own.
UPDATE service
SET probe_run_id = %(run_id)s, probe_until = now() + make_interval(secs => %(lease)s)
WHERE id = 1
  AND held_at IS NULL
  AND (token_rejected_at IS NOT NULL OR broken_at IS NOT NULL)
  AND (probe_after IS NULL OR broken_at IS NULL OR probe_after <= now())
  AND (probe_until IS NULL OR probe_until <= now() OR probe_run_id = %(run_id)s)
