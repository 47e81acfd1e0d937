-- The beginning of queries about results that the database stores, and that its image may compute differently: "stored" has
-- the expressions (indexes, generated columns, checks, partition keys, materialized views), "functions" the functions of
-- users in them, each with its code, its settings and the code of functions that it calls by name.
-- Run by collation/dependents.rs and references/stored_zones.rs on the serving, the scratch or the new server, from 13 on. The
-- placeholder is the code of a function "p" that is stored in parsed form, which exists since 14.
WITH RECURSIVE stored (expression) AS MATERIALIZED (
  SELECT concat(indexprs::text, indpred::text)
  FROM pg_index
  WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
  UNION ALL
  SELECT d.adbin::text
  FROM pg_attrdef d
  JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  WHERE a.attgenerated <> ''
  UNION ALL
  SELECT conbin::text FROM pg_constraint WHERE contype = 'c'
  UNION ALL
  SELECT partexprs::text FROM pg_partitioned_table WHERE partexprs IS NOT NULL
  UNION ALL
  SELECT r.ev_action::text
  FROM pg_rewrite r
  JOIN pg_class c ON c.oid = r.ev_class
  WHERE c.relkind = 'm'),
written (oid, name) AS (
  SELECT p.oid, lower(p.proname)
  FROM pg_proc p
  JOIN pg_language l ON l.oid = p.prolang
  WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')),
called (root, oid, code) AS (
  SELECT p.oid, p.oid, concat_ws(' ', p.prosrc, array_to_string(p.proconfig, ' '), {sql_body})
  FROM (SELECT DISTINCT m[1]::oid
    FROM stored, regexp_matches(expression, ':(?:op)?funcid (1[6-9]\d{3}|[2-9]\d{4}|\d{6,}) ', 'g') AS m) AS used (oid)
  JOIN written w ON w.oid = used.oid
  JOIN pg_proc p ON p.oid = w.oid
  UNION
  SELECT c.root, p.oid, concat_ws(' ', p.prosrc, array_to_string(p.proconfig, ' '), {sql_body})
  FROM called c
  CROSS JOIN LATERAL regexp_matches(c.code, '([[:alpha:]_]\w*)"?\s*\(', 'g') AS m
  JOIN written w ON w.name = lower(m[1])
  JOIN pg_proc p ON p.oid = w.oid),
functions (oid, code) AS (
  SELECT root, string_agg(code, ' ') FROM called GROUP BY root)
