-- Everybody a mailing without a filter would reach.
SELECT count(*) FROM client WHERE muted_at IS NULL AND removed_at IS NULL
