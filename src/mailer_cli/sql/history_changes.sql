-- Who changed what: everything, or what concerns one mailing, one client, or one message, which is both and
-- each of them alone. The newest `limit`, oldest first; without one, all of them.
SELECT *
FROM (
    SELECT id, at, actor, action, mailing_id, client_id, old, new
    FROM event
    WHERE (%(since)s::timestamptz IS NULL OR at >= %(since)s::timestamptz)
      AND (
          (%(mailing_id)s::bigint IS NULL AND %(client_id)s::bigint IS NULL)
          OR (
              mailing_id = %(mailing_id)s::bigint
              AND (%(client_id)s::bigint IS NULL OR client_id IS NULL OR client_id = %(client_id)s::bigint)
          )
          OR (
              client_id = %(client_id)s::bigint
              AND (%(mailing_id)s::bigint IS NULL OR mailing_id IS NULL)
          )
      )
    ORDER BY at DESC, id DESC
    LIMIT %(limit)s::bigint
) AS newest
ORDER BY at, id
