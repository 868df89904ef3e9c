-- The filter changed: who matches now may stand behind the cursor, and the audience is to be counted anew.
UPDATE mailing_window
SET state = 'open',
    catching_up = catching_up OR state = 'scanned',
    position = CASE WHEN catching_up OR state = 'scanned' THEN 0 ELSE position END,
    audience = NULL
WHERE shard = %(shard)s AND mailing_id = ANY (%(mailing_ids)s::bigint[]) AND state IN ('open', 'scanned')
