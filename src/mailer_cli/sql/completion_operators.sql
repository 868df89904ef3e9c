-- Operator codes of some clients: a sample, for Tab must not read ten million.
SELECT DISTINCT operator_code
FROM (SELECT operator_code FROM client LIMIT 20000) AS sample
ORDER BY operator_code
LIMIT 100
