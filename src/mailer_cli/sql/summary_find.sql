-- Kept breakdowns that a person may be found in: by tag those of a tag, and all that seem to quote a number.
SELECT mailing_id, aspect, parts
FROM summary
WHERE (aspect = 'tag' AND EXISTS (
           SELECT FROM jsonb_array_elements(parts) AS part WHERE part ->> 'tag' = ANY (%(tags)s::text[])
       ))
   OR parts::text ~ %(pattern)s
ORDER BY mailing_id, aspect
FOR UPDATE
