-- The leaf partitions of the current database whose bounds depend on what has changed about text: OID, name, root table;
-- the role that owns the partition and all tables above it, if one does; and whether that role is a superuser while its
-- keys, indexes or statistics use something user-defined, which may be the code of a role with fewer rights.
-- The bounds are not read here: the server evaluates functions of partition keys for that (RelationBuildPartitionKey).
-- Run by collation/partitions.rs on the new server, on any version. $1 has the collations that sort differently, $2 the
-- regular expression of dependent_expressions.sql.
SELECT c.oid, c.oid::regclass::text, pg_partition_root(c.oid)::text,
  (SELECT CASE WHEN count(DISTINCT t.relowner) = 1 THEN pg_get_userbyid(min(t.relowner::int8)::oid)::text END
    FROM pg_partition_ancestors(c.oid) AS above
    JOIN pg_class t ON t.oid = above.relid),
  (SELECT rolsuper FROM pg_authid WHERE oid = c.relowner)
    AND EXISTS (SELECT FROM pg_depend d
      WHERE d.refobjid >= 16384
        AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass, 'pg_opclass'::regclass,
          'pg_opfamily'::regclass)
        AND (d.classid = 'pg_class'::regclass
            AND (d.objid IN (SELECT relid FROM pg_partition_ancestors(c.oid))
              OR d.objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = c.oid))
          OR d.classid = 'pg_statistic_ext'::regclass
            AND d.objid IN (SELECT oid FROM pg_statistic_ext WHERE stxrelid = c.oid)))
FROM pg_class c
WHERE c.relispartition AND c.relkind = 'r'
  AND EXISTS (SELECT FROM pg_partition_ancestors(c.oid) AS above
    JOIN pg_partitioned_table p ON p.partrelid = above.relid
    WHERE p.partstrat = 'r' AND p.partcollation::oid[] && $1::oid[] OR p.partexprs::text ~ $2)
ORDER BY 2
