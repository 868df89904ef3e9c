-- A window whose time has come while no dispatch was running is opened here, with the audience that dispatch
-- would have given it: else those admitted now would be left out when it is opened a minute later.
UPDATE mailing_window w
SET state = 'open',
    frozen_at = now(),
    last_client_id = (
        SELECT c.id
        FROM client c
        WHERE c.created_at < greatest(w.opens_at, m.activated_at)
        ORDER BY c.id DESC
        LIMIT 1
    )
FROM mailing m
WHERE w.shard = %(shard)s
  AND w.mailing_id = %(mailing_id)s
  AND m.id = w.mailing_id
  AND w.state = 'planned'
  AND w.opens_at <= now()
  AND w.closes_at > now()
