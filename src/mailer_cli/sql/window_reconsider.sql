-- A client that moves into a zone, or comes to match a filter, while the window there is open may stand
-- behind the cursor. The catch-up pass starts again; the message's primary key keeps it harmless.
UPDATE mailing_window
SET state = 'open', catching_up = true, position = 0
WHERE shard = %(shard)s
  AND state IN ('open', 'scanned')
  AND (catching_up OR state = 'scanned')
  AND zone = ANY (%(zones)s)
