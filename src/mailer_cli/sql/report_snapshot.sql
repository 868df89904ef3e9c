-- The numbers of one report come from several statements: they must all see the same committed state.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
