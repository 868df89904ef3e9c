-- Give up what was not started, if the claim is still ours; what was started stays until it is recorded.
-- A start that was committed, but whose reply was lost and whose repetition was refused, started nothing:
-- it is taken back. Once only: after a lost reply the rest may already be somebody else's.
UPDATE claim
SET client_ids = %(client_ids)s::bigint[], started = %(started)s
WHERE shard = %(shard)s
  AND id = %(id)s
  AND run_id = %(run_id)s
  AND started >= %(started)s
  AND cardinality(client_ids) = %(size)s
