-- They are being tried, or will not be tried any more.
DELETE FROM retry r
USING unnest(%(mailing_ids)s::bigint[], %(client_ids)s::bigint[]) AS d (mailing_id, client_id)
WHERE r.shard = %(shard)s AND r.mailing_id = d.mailing_id AND r.client_id = d.client_id
