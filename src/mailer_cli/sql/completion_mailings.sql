-- The newest mailings: what somebody who presses Tab most probably means.
SELECT id, state, text
FROM mailing
ORDER BY id DESC
LIMIT 50
