-- The functions of roles without superuser rights that definitions of the current database call, by themselves or through
-- operators, types, operator classes, aggregates and other functions: function, owner, number of definitions, the first
-- three of them, and whether a partition key is among them. Left out are views, rules, and the functions that triggers
-- execute: neither pg_dump nor pg_restore executes these.
-- Run by restore_code.rs on the serving database, on any version.
--
-- "code" begins with the functions and follows pg_depend, which has an index for that, from what is used to what uses it.
-- A relation uses code itself if it is an index, or a partitioned table whose key does. A column that depends on more than
-- types is generated.
WITH RECURSIVE code (function, classid, objid, objsubid, used_class, depth) AS (
  SELECT p.oid, 'pg_proc'::regclass::oid, p.oid, 0, 0::oid, 0
  FROM pg_proc p
  JOIN pg_authid o ON o.oid = p.proowner
  WHERE NOT o.rolsuper
  UNION
  SELECT c.function, d.classid, d.objid, d.objsubid, c.classid, c.depth + 1
  FROM code c
  JOIN pg_depend d ON d.refclassid = c.classid AND d.refobjid = c.objid
  WHERE c.depth < 8 AND d.deptype IN ('n', 'a') AND d.refobjsubid = 0
    AND c.classid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass, 'pg_opclass'::regclass,
      'pg_opfamily'::regclass, 'pg_cast'::regclass, 'pg_amproc'::regclass, 'pg_amop'::regclass, 'pg_constraint'::regclass)
    AND (c.classid <> 'pg_constraint'::regclass
      OR EXISTS (SELECT FROM pg_constraint k WHERE k.oid = c.objid AND k.contypid <> 0))
), uses (function, classid, objid, objsubid, relkind) AS (
  SELECT DISTINCT c.function, c.classid, c.objid, c.objsubid, r.relkind
  FROM code c
  LEFT JOIN pg_class r ON c.classid = 'pg_class'::regclass AND r.oid = c.objid
  WHERE CASE c.classid
    WHEN 'pg_proc'::regclass THEN c.depth > 0
    WHEN 'pg_class'::regclass THEN c.objsubid = 0 AND r.relkind IN ('i', 'I', 'p')
      OR c.objsubid > 0 AND c.used_class IN ('pg_proc'::regclass, 'pg_operator'::regclass)
    WHEN 'pg_trigger'::regclass THEN EXISTS (SELECT FROM pg_trigger t
      WHERE t.oid = c.objid AND t.tgqual IS NOT NULL AND (t.tgfoid <> c.function OR c.depth > 1))
    WHEN 'pg_rewrite'::regclass THEN false
    ELSE true END
), numbered AS (
  SELECT u.*, count(*) OVER (PARTITION BY u.function) AS total,
    row_number() OVER (PARTITION BY u.function ORDER BY u.relkind = 'p' DESC NULLS LAST, u.classid, u.objid) AS number
  FROM uses u
)
SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
  pg_get_userbyid(p.proowner)::text, u.total,
  array_agg(pg_describe_object(u.classid, u.objid, u.objsubid) ORDER BY u.number),
  bool_or(COALESCE(u.relkind = 'p', false))
FROM numbered u
JOIN pg_proc p ON p.oid = u.function
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE u.number <= 3
GROUP BY p.oid, n.nspname, p.proname, p.proowner, u.total
ORDER BY 1
