-- What calls functions of $1 without an expression, and is itself evaluated by a restore: 'function' with its OID, or 'class'
-- with the OID of an operator class of $2, and the object that uses it.
-- Run by restore_code/stored.rs on the serving database, on any version. {subscript} is a column of pg_type since 14.
SELECT 'function', c.function, pg_describe_object(c.classid, c.objid, 0)
FROM (
  -- The validator is given the options of each wrapper, server, user mapping and foreign table.
  SELECT f.function, 'pg_foreign_data_wrapper'::regclass::oid AS classid, w.oid AS objid
  FROM pg_foreign_data_wrapper w
  CROSS JOIN LATERAL (VALUES (w.fdwvalidator), (w.fdwhandler)) AS f (function)
  UNION ALL
  -- That of a language is given each function.
  SELECT f.function, 'pg_language'::regclass, l.oid
  FROM pg_language l
  CROSS JOIN LATERAL (VALUES (l.lanvalidator), (l.lanplcallfoid), (l.laninline)) AS f (function)
  UNION ALL
  -- A conversion is tried when it is created.
  SELECT c.conproc::oid, 'pg_conversion'::regclass, c.oid
  FROM pg_conversion c
  UNION ALL
  -- The server reads each constant of the type.
  SELECT r.rngcanonical::oid, 'pg_type'::regclass, r.rngtypid
  FROM pg_range r
  UNION ALL
  SELECT f.function::oid, 'pg_type'::regclass, t.oid
  FROM pg_type t
  CROSS JOIN LATERAL (VALUES (t.typinput), (t.typoutput), (t.typreceive), (t.typsend), (t.typmodin), (t.typmodout),
    (t.typanalyze){subscript}) AS f (function)) AS c
WHERE c.function = ANY($1::oid[])
UNION ALL
SELECT 'class', c.class, pg_describe_object(c.classid, c.objid, 0)
FROM (
  -- Bounds of partitions are compared.
  SELECT k.class, 'pg_class'::regclass::oid AS classid, p.partrelid AS objid
  FROM pg_partitioned_table p
  CROSS JOIN LATERAL unnest(p.partclass::oid[]) AS k (class)
  UNION ALL
  -- So are those of ranges.
  SELECT r.rngsubopc, 'pg_type'::regclass, r.rngtypid
  FROM pg_range r) AS c
WHERE c.class = ANY($2::oid[])
ORDER BY 3, 1, 2
