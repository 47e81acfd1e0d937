-- The tables of the current database that lack statistics for the planner, largest first: OID, schema, name, whether it is
-- partitioned, whether it is a partition, the root of its partitions, whether it has any statistics.
-- Run by statistics.rs on the new server, on any version; the placeholder is the condition that something is missing:
-- missing_statistics.sql from 18 on, where pg_upgrade carries statistics, else "true". $1 says whether the catalogs that
-- all databases share are included.
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'p', c.relispartition,
  COALESCE(pg_partition_root(c.oid)::oid, c.oid),
  EXISTS (SELECT FROM pg_statistic s WHERE s.starelid = c.oid)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND (NOT c.relisshared OR $1)
  AND {missing}
ORDER BY c.relpages DESC, c.oid
