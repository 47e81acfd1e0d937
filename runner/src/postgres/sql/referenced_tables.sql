-- The tables that a partitioned table and its partitions reference by foreign keys, which are checked when a row moves.
-- Run by collation/repartition.rs on the new server, on any version; the placeholder is the OID of the root table.
WITH RECURSIVE tree (relid) AS (
  SELECT {root}::oid
  UNION
  SELECT i.inhrelid
  FROM tree
  JOIN pg_inherits i ON i.inhparent = tree.relid)
SELECT DISTINCT confrelid::regclass::text
FROM pg_constraint
WHERE contype = 'f' AND conrelid IN (SELECT relid FROM tree)
ORDER BY 1
