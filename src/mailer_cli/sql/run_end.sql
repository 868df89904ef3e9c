-- How a run ended, in a word or two; a run without an end was killed.
UPDATE run SET heartbeat_at = now(), ended_at = now(), ending = %(ending)s WHERE id = %(run_id)s
