-- How a run ended, in a word or two, and what it did; a run without an end was killed.
UPDATE run
SET heartbeat_at = now(), ended_at = now(), ending = %(ending)s,
    claimed = %(claimed)s, sent = %(sent)s, retrying = %(retrying)s, failed = %(failed)s,
    unknown = %(unknown)s, expired = %(expired)s, cancelled = %(cancelled)s,
    latencies = %(latencies)s::bigint[]
WHERE id = %(run_id)s
