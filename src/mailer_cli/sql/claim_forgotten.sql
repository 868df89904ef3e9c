-- What a run that has nothing in hand still holds: it was claimed, and the reply to the COMMIT was lost.
SELECT shard, id, mailing_id, run_id, client_ids, started
FROM claim
WHERE run_id = %(run_id)s AND started = 0
