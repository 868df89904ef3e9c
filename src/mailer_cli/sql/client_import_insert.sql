-- New phones become clients. Asked first and not only on conflict, for a conflict uses up an id too, and
-- ids are not endless; one is left only with somebody who adds the same phone this very moment. The default
-- zone is for new clients only. In the order of phones, which their index takes faster.
INSERT INTO client (phone, operator_code, tag, timezone)
SELECT DISTINCT ON (i.phone)
       i.phone, coalesce(i.operator_code, substr(i.phone, 2, 3)), i.tag,
       coalesce(i.timezone, %(default_timezone)s::text)
FROM client_import i
WHERE NOT EXISTS (SELECT FROM client c WHERE c.phone = i.phone COLLATE "default")
ORDER BY i.phone, i.line
ON CONFLICT (phone) DO NOTHING
