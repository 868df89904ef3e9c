-- Move the cursor in the transaction that made the messages. Once scanned, the audience is what was found.
UPDATE mailing_window
SET position = %(position)s,
    catching_up = %(catching_up)s,
    state = %(state)s,
    claimed = claimed + %(claimed)s,
    audience = CASE
        WHEN %(state)s IN ('scanned', 'closed') THEN claimed + %(claimed)s
        WHEN audience < claimed + %(claimed)s THEN claimed + %(claimed)s
        ELSE audience
    END
WHERE shard = %(shard)s AND mailing_id = %(mailing_id)s AND zone = %(zone)s
