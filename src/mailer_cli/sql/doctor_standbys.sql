-- Whoever may not see other users' activity sees standbys without their state.
SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS seen,
       count(*) FILTER (WHERE state IS NOT NULL) AS standbys,
       count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS synchronous
FROM pg_stat_replication
