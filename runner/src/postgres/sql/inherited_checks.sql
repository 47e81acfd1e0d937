-- Tables that inherit from another and have CHECK constraints whose result may change: queries of the tables above skip them by these
-- constraints (constraint_exclusion), whatever their rows are. OID, name; the topmost table's; the role that owns it; whether that
-- role is a superuser while its constraints, indexes or statistics use something of an ordinary role; and the constraints.
-- Run by collation/partitions.rs on the new server, the scratch server or the serving one, on any version, with
-- foreign_code.sql. $1 has the regular expression of dependent_expressions.sql.
WITH RECURSIVE checks (relid, oids) AS (
  SELECT k.conrelid, array_agg(k.oid ORDER BY k.oid)
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  WHERE k.contype = 'c' AND k.convalidated AND k.conbin::text ~ $1 AND c.relkind = 'r' AND NOT c.relispartition
    AND c.relpersistence <> 't'
  GROUP BY k.conrelid),
above (relid, ancestor) AS (
  SELECT k.relid, i.inhparent
  FROM checks k
  JOIN pg_inherits i ON i.inhrelid = k.relid
  UNION
  SELECT a.relid, i.inhparent
  FROM above a
  JOIN pg_inherits i ON i.inhrelid = a.ancestor),
roots (relid, root) AS (
  SELECT a.relid, min(a.ancestor::int8)::oid
  FROM above a
  WHERE NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = a.ancestor)
  GROUP BY a.relid),
{foreign_code},
with_foreign_code (relid) AS (
  SELECT COALESCE(i.indrelid, s.stxrelid, k.conrelid, d.objid)
  FROM foreign_code f
  JOIN pg_depend d ON d.refclassid = f.classid AND d.refobjid = f.objid
  LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
  LEFT JOIN pg_statistic_ext s ON d.classid = 'pg_statistic_ext'::regclass AND s.oid = d.objid
  LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
  WHERE d.classid IN ('pg_class'::regclass, 'pg_statistic_ext'::regclass, 'pg_constraint'::regclass))
SELECT c.oid, c.oid::regclass::text, r.root, r.root::regclass::text, a.rolname::text,
  a.rolsuper AND c.oid IN (SELECT relid FROM with_foreign_code), k.oids
FROM checks k
JOIN roots r ON r.relid = k.relid
JOIN pg_class c ON c.oid = k.relid
JOIN pg_authid a ON a.oid = c.relowner
ORDER BY 2
