-- Messages by something that only their clients know, and as it is known today: a client who has moved
-- counts in the new zone. Every message of the mailings is read, once, and joined by hash.
SELECT m.mailing_id AS mailing,
       CASE %(by)s::text
           WHEN 'zone' THEN c.timezone
           WHEN 'operator' THEN c.operator_code
           WHEN 'tag' THEN c.tag
       END AS key,
       count(*) FILTER (WHERE m.status = 'sending') AS sending,
       count(*) FILTER (WHERE m.status = 'retrying') AS retrying,
       count(*) FILTER (WHERE m.status = 'sent') AS sent,
       count(*) FILTER (WHERE m.status = 'failed') AS failed,
       count(*) FILTER (WHERE m.status = 'unknown') AS unknown,
       count(*) FILTER (WHERE m.status = 'expired') AS expired,
       count(*) FILTER (WHERE m.status = 'cancelled') AS cancelled
FROM message m
LEFT JOIN client c ON c.id = m.client_id
WHERE m.shard = ANY (%(shards)s::smallint[]) AND m.mailing_id = ANY (%(mailings)s::bigint[])
GROUP BY 1, 2
ORDER BY 1 DESC, 2
