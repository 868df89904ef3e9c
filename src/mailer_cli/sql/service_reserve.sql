-- Take the next places in the queue of all dispatchers, spaced by the rate, and count them against the day
-- (of UTC). Unused places are not saved up, so there is never a burst. Seconds since 1970, for the interval
-- arithmetic that a cluster's reference table cannot do.
WITH clock AS (
    SELECT extract(epoch FROM now())::float8 AS now, floor(extract(epoch FROM now()) / 86400)::int AS today
),
place AS (
    SELECT c.now, c.today, greatest(s.rate_next, c.now) AS first,
           CASE WHEN s.quota_day = c.today THEN s.quota_used ELSE 0 END AS used
    FROM service s, clock c
    WHERE s.id = 1
    FOR UPDATE OF s
),
granted AS (
    SELECT now, today, first, used,
           greatest(0, least(%(number)s, coalesce(%(per_day)s::bigint - used, %(number)s))) AS number
    FROM place
)
UPDATE service
SET rate_next = g.first + g.number * %(spacing)s::float8,
    quota_day = g.today,
    quota_used = g.used + g.number
FROM granted g
WHERE id = 1
RETURNING g.number::int AS number, g.first - g.now AS seconds, (g.today + 1) * 86400 - g.now AS day_left
