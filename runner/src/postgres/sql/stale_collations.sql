-- Statements that record the current version of changed collations; $1 has the OIDs of those.
-- Run by collation/refresh.rs on the new server, on any version; from 15 on stale_default_collation.sql follows.
SELECT format('ALTER COLLATION %I.%I REFRESH VERSION', n.nspname, c.collname)
FROM pg_collation c
JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE c.oid = ANY($1)
  AND c.collversion <> pg_collation_actual_version(c.oid)
