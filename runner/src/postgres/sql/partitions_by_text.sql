-- The leaf partitions of the current database whose bounds depend on what has changed about text: name, root table, bounds
-- (those of a partition are those of all above it), and whether a key above it uses a user-defined function or type. Such
-- functions, and those that a user-defined type calls, would run as superuser: these partitions are only named. A default
-- partition without siblings has no bounds.
-- Run by collation/partitions.rs on the new server, on any version. $1 has the collations that sort differently, $2 the
-- regular expression of dependent_expressions.sql.
SELECT c.oid::regclass::text, pg_partition_root(c.oid)::text, pg_get_partition_constraintdef(c.oid),
  EXISTS (SELECT FROM pg_partition_ancestors(c.oid) AS above
    JOIN pg_partitioned_table p ON p.partrelid = above.relid
    WHERE EXISTS (SELECT FROM unnest(p.partclass::oid[]) AS class WHERE class >= 16384)
      OR EXISTS (SELECT FROM pg_attribute a
        WHERE a.attrelid = p.partrelid AND a.attnum = ANY(p.partattrs) AND a.atttypid >= 16384)
      OR EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = p.partrelid AND d.objsubid = 0 AND d.refobjid >= 16384
          AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)))
FROM pg_class c
WHERE c.relispartition AND c.relkind = 'r'
  AND EXISTS (SELECT FROM pg_partition_ancestors(c.oid) AS above
    JOIN pg_partitioned_table p ON p.partrelid = above.relid
    WHERE p.partstrat = 'r' AND p.partcollation::oid[] && $1::oid[] OR p.partexprs::text ~ $2)
  AND pg_get_partition_constraintdef(c.oid) IS NOT NULL
ORDER BY 1
