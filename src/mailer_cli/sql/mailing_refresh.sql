-- The audience now ends with the newest client. A window that was worked through is opened again, and the
-- catch-up pass finds whoever has no message yet. One not counted yet stays so: its count will hold them too.
UPDATE mailing_window w
SET last_client_id = greatest(coalesce(w.last_client_id, 0), %(last_client_id)s),
    state = 'open',
    catching_up = w.catching_up OR w.state = 'scanned',
    position = CASE WHEN w.catching_up OR w.state = 'scanned' THEN 0 ELSE w.position END,
    audience = w.audience + n.clients
FROM unnest(%(zones)s::text[], %(newcomers)s::bigint[]) AS n (zone, clients)
WHERE w.shard = %(shard)s
  AND w.mailing_id = %(mailing_id)s
  AND w.zone = n.zone
  AND w.state IN ('open', 'scanned')
