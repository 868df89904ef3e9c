-- Too large a share failed: nobody starts anything until one message gets through. Each failed probe doubles
-- the wait before the next, up to five minutes.
UPDATE service
SET broken_at = coalesce(broken_at, now()),
    break_reason = %(reason)s,
    breaks = breaks + 1,
    probe_after = now() + make_interval(secs => least(300, %(wait)s * power(2, least(breaks, 10)))),
    probe_run_id = NULL,
    probe_until = NULL,
    tally_since = NULL, tally_total = 0, tally_errors = 0
WHERE id = 1 AND (broken_at IS NULL OR probe_run_id = %(run_id)s)
