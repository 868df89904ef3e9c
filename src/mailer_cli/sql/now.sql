-- The database's clock is the only one that decides; hosts are never compared with each other.
SELECT now()
