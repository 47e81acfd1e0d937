-- The expressions of the current database that a restore may evaluate, as far as they use functions of $1 or operators of $2,
-- or all of them if $3: the object, what a restore does, and the expression. It does
-- - 'simplify' what it prepares for use: partition keys, indexes, generated columns, statistics; and checks that it adds
--   to a table or a domain that exists already, which are those of inherited tables and partitions, and those that use functions
--   of the table's or the domain's own type;
-- - 'apply' the checks of domains that are the types of partition keys, to bounds;
-- - 'store' other checks.
-- Run by restore_code/stored.rs on the serving database, on any version. The placeholders are: whether the column "a" is
-- generated, since 12; and the expressions of extended statistics, since 14.
WITH RECURSIVE used AS (
  SELECT DISTINCT d.classid, d.objid
  FROM pg_depend d
  WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = ANY($1::oid[])
    OR d.refclassid = 'pg_operator'::regclass AND d.refobjid = ANY($2::oid[])
), keys (type) AS (
  SELECT a.atttypid
  FROM pg_partitioned_table p
  JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = ANY(p.partattrs::int2[])
  UNION
  SELECT t.typbasetype
  FROM keys k
  JOIN pg_type t ON t.oid = k.type
  WHERE t.typtype = 'd'
), stored (classid, objid, usedclass, usedid, kind, expression) AS (
  SELECT 'pg_class'::regclass::oid, p.partrelid, 'pg_class'::regclass::oid, p.partrelid, 'key', p.partexprs::text
  FROM pg_partitioned_table p
  UNION ALL
  SELECT 'pg_class'::regclass, i.indexrelid, 'pg_class'::regclass, i.indexrelid, 'index', e.expression
  FROM pg_index i
  CROSS JOIN LATERAL (VALUES (i.indexprs::text), (i.indpred::text)) AS e (expression)
  UNION ALL
  -- Before 15 the column depends on what its expression uses.
  SELECT 'pg_attrdef'::regclass, d.oid, u.class, u.id, 'generated', d.adbin::text
  FROM pg_attrdef d
  JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  CROSS JOIN LATERAL (VALUES ('pg_attrdef'::regclass::oid, d.oid), ('pg_class'::regclass, d.adrelid)) AS u (class, id)
  WHERE {generated}
  UNION ALL
  SELECT 'pg_constraint'::regclass, c.oid, 'pg_constraint'::regclass, c.oid, 'check', c.conbin::text
  FROM pg_constraint c
  WHERE c.contype = 'c'{statistics}
), found AS (
  SELECT DISTINCT s.classid, s.objid, s.kind, s.expression
  FROM stored s
  WHERE s.expression IS NOT NULL
    AND ($3::bool AND s.objid >= 16384 OR (s.usedclass, s.usedid) IN (SELECT u.classid, u.objid FROM used u))
)
SELECT pg_describe_object(f.classid, f.objid, 0),
  CASE
    WHEN f.kind <> 'check' THEN 'simplify'
    WHEN c.contypid IN (SELECT k.type FROM keys k) THEN 'apply'
    WHEN EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.conrelid AND c.conrelid <> 0)
      OR EXISTS (SELECT
        FROM pg_depend u
        JOIN pg_depend d ON d.classid = u.refclassid AND d.objid = u.refobjid
        JOIN pg_type own ON own.oid = c.contypid OR own.typrelid = c.conrelid AND c.conrelid <> 0
        WHERE u.classid = f.classid AND u.objid = f.objid AND u.refclassid = 'pg_proc'::regclass
          AND d.refclassid = 'pg_type'::regclass AND d.refobjid IN (own.oid, own.typarray)) THEN 'simplify'
    ELSE 'store' END,
  f.expression,
  c.contypid IS NOT NULL AND c.contypid <> 0
FROM found f
LEFT JOIN pg_constraint c ON f.kind = 'check' AND c.oid = f.objid
ORDER BY 1, 3
