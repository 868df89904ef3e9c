-- Phones and tags that a client has or once had: its own, those of its messages, those on record. A phone that
-- is somebody else's by now is only taken out of what belongs to this client.
SELECT coalesce(array_agg(DISTINCT t.phone) FILTER (WHERE t.phone ~ '^7[0-9]{10}$'), '{}') AS phones,
       coalesce(
           array_agg(DISTINCT t.phone) FILTER (
               WHERE t.phone ~ '^7[0-9]{10}$'
                 AND NOT EXISTS (SELECT FROM client x WHERE x.phone = t.phone AND x.id <> %(client_id)s)
           ), '{}'
       ) AS free_phones,
       coalesce(
           array_agg(DISTINCT t.tag) FILTER (
               WHERE t.tag IS NOT NULL
                 AND NOT EXISTS (SELECT FROM client x WHERE x.tag = t.tag AND x.id <> %(client_id)s)
           ), '{}'
       ) AS lone_tags
FROM (
    SELECT phone, tag FROM client WHERE id = %(client_id)s
    UNION
    SELECT m.phone, NULL
    FROM message m
    WHERE m.shard = %(shard)s::smallint
      AND m.client_id = %(client_id)s
      AND m.mailing_id = ANY (ARRAY(SELECT c.mailing_id FROM counter c WHERE c.shard = %(shard)s::smallint))
    UNION
    SELECT side.facts ->> 'phone', side.facts ->> 'tag'
    FROM event e
    CROSS JOIN LATERAL (VALUES (e.old), (e.new)) AS side (facts)
    WHERE e.client_id = %(client_id)s AND jsonb_typeof(side.facts) = 'object'
) AS t
