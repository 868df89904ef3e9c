-- Intent, heartbeat, fence and end check in one commit: only what this returns may be sent. It refuses
-- when the lease has lapsed, the window is about to close, sending is held or the service not to be asked
-- (but by the run that probes it with one message), a standby was promoted that may know less, or the mailing was paused, cancelled or edited since it
-- was claimed, or one of these clients was muted or removed, or has another phone or zone: then the rest is
-- handed back, and claimed again as they are now. It may be repeated after a lost reply: only its owner
-- moves it.
UPDATE claim
SET started = %(upto)s, lease_until = now() + make_interval(secs => %(lease)s)
WHERE shard = %(shard)s
  AND id = %(id)s
  AND run_id = %(run_id)s
  AND started IN (%(started)s, %(upto)s)
  AND lease_until > now()
  AND not_after > now() + make_interval(secs => %(margin)s)
  AND EXISTS (
      SELECT FROM mailing m
      WHERE m.id = claim.mailing_id AND m.version = claim.mailing_version AND m.state = 'active'
  )
  AND NOT EXISTS (
      SELECT
      FROM unnest(%(client_ids)s::bigint[], %(phones)s::text[], %(zones)s::text[]) AS i (client_id, phone, zone)
      JOIN client c ON c.id = i.client_id
      WHERE c.muted_at IS NOT NULL OR c.removed_at IS NOT NULL OR c.phone <> i.phone OR c.timezone <> i.zone
  )
  AND NOT EXISTS (
      SELECT FROM service
      WHERE held_at IS NOT NULL
         OR blocked_until > now()
         OR timeline <> CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
         OR (
             (token_rejected_at IS NOT NULL OR broken_at IS NOT NULL)
             AND probe_run_id IS DISTINCT FROM %(run_id)s
         )
  )
RETURNING now() AS now, extract(epoch FROM not_after - now())::float8 AS seconds_left
