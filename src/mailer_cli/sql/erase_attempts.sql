-- What went wrong stays on record, without the number that an answer may have quoted.
UPDATE attempt
SET error = regexp_replace(error, %(pattern)s, 'erased', 'g')
WHERE shard = %(shard)s
  AND client_id = %(client_id)s
  AND mailing_id = ANY (%(mailing_ids)s::bigint[])
  AND error ~ %(pattern)s
