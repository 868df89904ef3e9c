-- New phones become clients. Asked first and not only on conflict, for a conflict uses up an id too, and
-- ids are not endless.
INSERT INTO client (phone, operator_code, tag, timezone)
SELECT DISTINCT ON (i.phone) i.phone, coalesce(i.operator_code, substr(i.phone, 2, 3)), i.tag, i.timezone
FROM client_import i
WHERE i.timezone IS NOT NULL
  AND NOT EXISTS (SELECT FROM client c WHERE c.phone = i.phone)
ORDER BY i.phone, i.line
ON CONFLICT (phone) DO NOTHING
