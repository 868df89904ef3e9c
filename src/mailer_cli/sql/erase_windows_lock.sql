-- Wait for claimers that may be making a message to a client of this zone and shard, and keep others off:
-- those who come later see the client as it is then.
SELECT mailing_id
FROM mailing_window
WHERE shard = %(shard)s AND zone = %(zone)s AND state <> 'closed'
ORDER BY mailing_id
FOR UPDATE
