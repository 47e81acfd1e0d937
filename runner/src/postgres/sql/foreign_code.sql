-- A part of queries: what ordinary roles own that a server calls when it evaluates expressions or compares values.
-- Run by collation/partitions.rs within partitions_by_text.sql and inherited_checks.sql.
foreign_code (classid, objid) AS (
  SELECT o.classid, o.objid
  FROM (SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc
    UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner FROM pg_operator
    UNION ALL SELECT 'pg_type'::regclass, oid, typowner FROM pg_type
    UNION ALL SELECT 'pg_opclass'::regclass, oid, opcowner FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfowner FROM pg_opfamily) AS o (classid, objid, owner)
  JOIN pg_authid r ON r.oid = o.owner
  WHERE o.objid >= 16384 AND NOT r.rolsuper)
