-- A temporary table is not looked after by anybody else; without this the joins are planned for a few rows.
ANALYZE client_import
