-- Wait for claimers of these windows before looking at the messages they are making: what is counted next
-- is counted by a statement that sees them.
SELECT zone
FROM mailing_window
WHERE shard = %(shard)s AND mailing_id = %(mailing_id)s
ORDER BY zone
FOR UPDATE
