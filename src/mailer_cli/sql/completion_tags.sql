-- Tags of some clients: a sample, for Tab must not read ten million.
SELECT DISTINCT tag
FROM (SELECT tag FROM client WHERE tag IS NOT NULL LIMIT 20000) AS sample
ORDER BY tag
LIMIT 100
