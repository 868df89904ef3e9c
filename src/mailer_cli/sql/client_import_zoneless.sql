-- New phones without a time zone: there is no silent default.
SELECT i.line, i.phone, i.operator_code, i.tag, i.timezone
FROM client_import i
WHERE i.timezone IS NULL AND NOT EXISTS (SELECT FROM client c WHERE c.phone = i.phone COLLATE "default")
ORDER BY i.line
