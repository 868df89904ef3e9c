-- One small row per batch, with the clients as an array, instead of an update per message.
INSERT INTO claim (shard, id, mailing_id, mailing_version, run_id, client_ids, lease_until, not_after)
VALUES (
    %(shard)s, %(id)s, %(mailing_id)s, %(mailing_version)s, %(run_id)s, %(client_ids)s::bigint[],
    now() + make_interval(secs => %(lease)s), %(not_after)s
)
