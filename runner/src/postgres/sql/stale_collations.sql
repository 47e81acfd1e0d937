-- Statements that record the current version of changed collations, of which $1 has the OIDs, and of those that nothing uses: no
-- result is stored in their order, and the server would warn of them for ever.
-- Run by collation/refresh.rs on the new server, on any version; from 15 on stale_default_collation.sql follows.
SELECT format('ALTER COLLATION %I.%I REFRESH VERSION', n.nspname, c.collname)
FROM pg_collation c
JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE (c.oid = ANY($1)
    OR c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_collation'::regclass AND refobjid = c.oid))
  AND c.collversion <> pg_collation_actual_version(c.oid)
