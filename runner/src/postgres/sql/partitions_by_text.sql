-- The leaf partitions of the current database whose bounds depend on what has changed about text: OID, name; the root's;
-- the role that owns the partition and all tables above it, if one does; whether that role is a superuser while its
-- keys, indexes or statistics use something of an ordinary role; and a column that an UPDATE of the root may set to
-- itself.
--
-- Ranges depend on the order. Lists depend on equality, and hashes are those of sort keys, which both change only if the
-- collation is not deterministic; otherwise they depend on the bytes alone. Composite types, ranges and jsonb have no
-- collation of their own but still compare by one: "keys" has the types of keys down to the base types of domains and the
-- elements of arrays, of an expression the polymorphic type of its operator class.
-- The bounds are not read here: the server evaluates functions of partition keys for that (RelationBuildPartitionKey).
-- Run by collation/partitions.rs on the new server, or on the scratch server, on any version. $1 has the collations that
-- sort differently, $2 the regular expression of dependent_expressions.sql, $3 the extensions whose operator classes
-- depend on what has changed. foreign_code.sql is put into it.
WITH RECURSIVE tables AS (
  SELECT partrelid AS relid, partstrat, partattrs::int2[] AS attnums, partclass::oid[] AS opclasses,
    partcollation::oid[] AS collations, partexprs::text AS expressions,
    CASE partstrat WHEN 'r' THEN $1::oid[]
      ELSE ARRAY(SELECT oid FROM pg_collation WHERE oid = ANY($1::oid[]) AND NOT collisdeterministic) END AS changed
  FROM pg_partitioned_table),
keys (relid, type) AS (
  SELECT t.relid, a.atttypid
  FROM tables t
  JOIN pg_attribute a ON a.attrelid = t.relid AND a.attnum = ANY(t.attnums)
  UNION
  SELECT t.relid, o.opcintype
  FROM tables t
  CROSS JOIN LATERAL unnest(t.attnums, t.opclasses) AS key (attnum, opclass)
  JOIN pg_opclass o ON o.oid = key.opclass
  WHERE key.attnum = 0
  UNION
  SELECT k.relid, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END
  FROM keys k
  JOIN pg_type t ON t.oid = k.type
  WHERE t.typtype = 'd' OR t.typcategory = 'A'),
affected (relid) AS (
  SELECT t.relid
  FROM tables t
  WHERE t.collations && t.changed OR t.expressions ~ $2
  UNION
  SELECT t.relid
  FROM tables t
  JOIN pg_depend d ON d.classid = 'pg_opclass'::regclass AND d.objid = ANY(t.opclasses)
  JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND e.extname = ANY($3)
  UNION
  SELECT t.relid
  FROM tables t
  JOIN keys k ON k.relid = t.relid
  JOIN pg_type y ON y.oid = k.type
  LEFT JOIN pg_range r ON r.rngtypid = y.oid
  WHERE cardinality(t.changed) > 0
    AND (y.typtype IN ('c', 'm')
      OR y.typtype = 'p' AND y.oid <> 'anyenum'::regtype
      OR y.typtype = 'r' AND r.rngcollation = ANY(t.changed)
      OR y.oid = 'jsonb'::regtype AND t.partstrat = 'r' AND 100 = ANY(t.changed))),
parts (relid) AS (
  SELECT relid FROM affected
  UNION
  SELECT i.inhrelid
  FROM parts
  JOIN pg_inherits i ON i.inhparent = parts.relid),
{foreign_code},
with_foreign_code (relid) AS (
  SELECT COALESCE(i.indrelid, s.stxrelid, d.objid)
  FROM foreign_code f
  JOIN pg_depend d ON d.refclassid = f.classid AND d.refobjid = f.objid
  LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
  LEFT JOIN pg_statistic_ext s ON d.classid = 'pg_statistic_ext'::regclass AND s.oid = d.objid
  WHERE d.classid IN ('pg_class'::regclass, 'pg_statistic_ext'::regclass)),
parts_with_foreign_code (relid) AS (
  SELECT parts.relid
  FROM parts
  CROSS JOIN LATERAL pg_partition_ancestors(parts.relid) AS above
  JOIN with_foreign_code f ON f.relid = above.relid::oid)
SELECT c.oid, c.oid::regclass::text, root::oid, root::text,
  (SELECT CASE WHEN count(DISTINCT t.relowner) = 1 THEN pg_get_userbyid(min(t.relowner::int8)::oid)::text END
    FROM pg_partition_ancestors(c.oid) AS above
    JOIN pg_class t ON t.oid = above.relid),
  (SELECT rolsuper FROM pg_authid WHERE oid = c.relowner) AND c.oid IN (SELECT relid FROM parts_with_foreign_code),
  (SELECT quote_ident(a.attname)
    FROM pg_attribute a
    WHERE a.attrelid = root AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
    ORDER BY a.attnum = ANY((SELECT partattrs::int2[] FROM pg_partitioned_table WHERE partrelid = root)::int2[]) DESC, a.attnum
    LIMIT 1)
FROM pg_class c
CROSS JOIN LATERAL pg_partition_root(c.oid) AS root
WHERE c.relispartition AND c.relkind = 'r' AND c.relpersistence <> 't' AND c.oid IN (SELECT relid FROM parts)
ORDER BY 2
