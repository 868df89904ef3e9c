-- Numbers that come again with other values: the first row counts, the others are named with it.
SELECT line, phone, operator_code, tag, timezone, kept_line
FROM (
    SELECT line, phone, operator_code, tag, timezone,
           first_value(line) OVER each AS kept_line,
           first_value(operator_code) OVER each AS kept_operator_code,
           first_value(tag) OVER each AS kept_tag,
           first_value(timezone) OVER each AS kept_timezone
    FROM client_import
    WINDOW each AS (PARTITION BY phone ORDER BY line)
) r
WHERE line > kept_line
  AND (operator_code, tag, timezone) IS DISTINCT FROM (kept_operator_code, kept_tag, kept_timezone)
ORDER BY line
