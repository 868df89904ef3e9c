-- Where a run stands; written with each batch of results, and at the end.
UPDATE run
SET heartbeat_at = now(),
    claimed = %(claimed)s, sent = %(sent)s, retrying = %(retrying)s, failed = %(failed)s,
    unknown = %(unknown)s, expired = %(expired)s, cancelled = %(cancelled)s,
    latencies = %(latencies)s::bigint[]
WHERE id = %(run_id)s
