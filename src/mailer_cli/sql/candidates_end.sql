-- How far the budget of `candidates` reached: asked only when it found fewer clients than were wanted.
SELECT max(id) AS position, count(*) AS looked_at
FROM (
    SELECT id
    FROM client
    WHERE timezone = %(zone)s
      AND shard = %(shard)s
      AND id > %(position)s
      AND id <= %(last_client_id)s
    ORDER BY id
    LIMIT %(budget)s
) c
