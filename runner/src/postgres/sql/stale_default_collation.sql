-- The same for the default of the current database, which $1 has as 100.
-- Run by collation/refresh.rs on the new server, appended to stale_collations.sql, on versions from 15 on.
UNION ALL
SELECT format('ALTER DATABASE %I REFRESH COLLATION VERSION', d.datname)
FROM pg_database d
WHERE d.datname = current_database()
  AND 100 = ANY($1)
  AND d.datcollversion <> pg_database_collation_actual_version(d.oid)
