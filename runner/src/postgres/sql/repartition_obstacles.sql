-- Why rows of a partitioned table are not moved between its partitions, one sentence each: what an UPDATE would run apart from
-- the server's own code and that of superusers, in the table's whole tree and in the tables that it references; triggers
-- and rules, which would take the move for a change by a client; and what could lose rows.
-- Run by collation/repartition.rs on the new server, on any version; the placeholder is the OID of the root table.
WITH RECURSIVE tree (relid) AS (
  SELECT {root}::oid
  UNION
  SELECT i.inhrelid
  FROM tree
  JOIN pg_inherits i ON i.inhparent = tree.relid),
checked (relid) AS (
  SELECT relid FROM tree
  UNION
  SELECT confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT relid FROM tree)),
parts (classid, objid, relid) AS (
  SELECT 'pg_class'::regclass, relid, relid FROM checked
  UNION ALL
  SELECT 'pg_class'::regclass, indexrelid, indrelid FROM pg_index WHERE indrelid IN (SELECT relid FROM checked)
  UNION ALL
  SELECT 'pg_constraint'::regclass, oid, conrelid FROM pg_constraint WHERE conrelid IN (SELECT relid FROM checked)
  UNION ALL
  SELECT 'pg_attrdef'::regclass, oid, adrelid FROM pg_attrdef WHERE adrelid IN (SELECT relid FROM checked)
  UNION ALL
  SELECT 'pg_statistic_ext'::regclass, oid, stxrelid FROM pg_statistic_ext WHERE stxrelid IN (SELECT relid FROM checked)),
used (relid, classid, objid) AS (
  SELECT DISTINCT p.relid, d.refclassid, d.refobjid
  FROM parts p
  JOIN pg_depend d ON d.classid = p.classid AND d.objid = p.objid
  WHERE d.refobjid >= 16384),
foreign_code (relid, classid, objid) AS (
  SELECT u.relid, u.classid, u.objid
  FROM used u
  LEFT JOIN pg_proc p ON u.classid = 'pg_proc'::regclass AND p.oid = u.objid
  LEFT JOIN pg_operator o ON u.classid = 'pg_operator'::regclass AND o.oid = u.objid
  LEFT JOIN pg_type t ON u.classid = 'pg_type'::regclass AND t.oid = u.objid
  LEFT JOIN pg_opclass c ON u.classid = 'pg_opclass'::regclass AND c.oid = u.objid
  LEFT JOIN pg_opfamily f ON u.classid = 'pg_opfamily'::regclass AND f.oid = u.objid
  JOIN pg_authid r ON r.oid = COALESCE(p.proowner, o.oprowner, t.typowner, c.opcowner, f.opfowner)
  LEFT JOIN pg_type b ON b.oid = t.typbasetype
  WHERE NOT r.rolsuper
    -- Moving a value runs no code of an enum, a composite type or an array, and of a domain only that of its base type.
    AND (t.oid IS NULL OR t.typtype IN ('r', 'm') OR t.typtype = 'b' AND t.typelem = 0
      OR t.typtype = 'd' AND b.typtype NOT IN ('b', 'e')))
SELECT format('%s uses the %s', relid::regclass, pg_describe_object(classid, objid, 0))
FROM foreign_code
UNION ALL
SELECT format('%s has the trigger %I', tgrelid::regclass, tgname)
FROM pg_trigger
WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgrelid IN (SELECT relid FROM tree)
UNION ALL
SELECT format('%s has the rule %I', ev_class::regclass, rulename)
FROM pg_rewrite
WHERE ev_enabled <> 'D' AND ev_class IN (SELECT relid FROM tree)
UNION ALL
SELECT format('the partition %s is a foreign table', oid::regclass)
FROM pg_class
WHERE relkind = 'f' AND oid IN (SELECT relid FROM tree)
UNION ALL
SELECT format('%s references it, and before 15 the server would take the move for a deletion', conrelid::regclass)
FROM pg_constraint
WHERE contype = 'f' AND confrelid IN (SELECT relid FROM tree) AND current_setting('server_version_num')::int < 150000
ORDER BY 1
LIMIT 5
