-- Functions in SQL and PL/pgSQL that maintenance calls (by indexes, materialized views and extended statistics, also indirectly)
-- and that name something without its schema: functions, relations, operators, types, or text search configurations of users
-- and extensions. From 17 on maintenance runs with the system's search path, on which they are not found, or on which another
-- operator or function of the system is found, such as "=" of text for citext.
-- Run by meaning/search_path.rs on the serving database, and on the new one, each time with another query of "named" and "code"
-- behind it. Names are taken from the text of the body.
WITH RECURSIVE used (function, relation) AS (
  SELECT COALESCE(o.oprcode, a.amproc, d.refobjid)::oid, COALESCE(c.oid, v.oid, s.stxrelid)
  FROM pg_depend d
  LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind IN ('i', 'I')
  LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  LEFT JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'm'
  LEFT JOIN pg_statistic_ext s ON d.classid = 'pg_statistic_ext'::regclass AND s.oid = d.objid
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  LEFT JOIN pg_opclass k ON d.refclassid = 'pg_opclass'::regclass AND k.oid = d.refobjid
  LEFT JOIN pg_amproc a ON a.amprocfamily = k.opcfamily
  WHERE d.refobjid >= 16384
    AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass)
    AND COALESCE(c.oid, v.oid, s.stxrelid) IS NOT NULL),
written (oid, name, body) AS (
  SELECT p.oid, lower(p.proname), p.prosrc
  FROM pg_proc p
  JOIN pg_language l ON l.oid = p.prolang
  WHERE p.oid >= 16384 AND l.lanname IN ('sql', 'plpgsql')
    AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS s WHERE s LIKE 'search_path=%')),
-- There may be many relations for each function: a body is searched once, not once for each of them.
bodies (oid, body) AS (
  SELECT w.oid, w.body
  FROM written w
  WHERE w.oid IN (SELECT function FROM used)
  UNION
  SELECT w.oid, w.body
  FROM bodies b
  CROSS JOIN LATERAL regexp_matches(b.body, '([[:alpha:]_]\w*)"?\s*\(', 'g') AS m
  JOIN written w ON w.name = lower(m[1])),
calls (caller, called) AS (
  SELECT DISTINCT b.oid, w.oid
  FROM bodies b
  CROSS JOIN LATERAL regexp_matches(b.body, '([[:alpha:]_]\w*)"?\s*\(', 'g') AS m
  JOIN written w ON w.name = lower(m[1])),
leads (function, oid) AS (
  SELECT DISTINCT u.function, b.oid
  FROM used u
  JOIN bodies b ON b.oid = u.function
  UNION
  SELECT l.function, c.called
  FROM leads l
  JOIN calls c ON c.caller = l.oid),
code (oid, relation) AS (
  SELECT DISTINCT l.oid, u.relation
  FROM leads l
  JOIN used u ON u.function = l.function),
words (oid, word, is_call) AS (
  SELECT b.oid, lower(m[2]), m[3] = '('
  FROM bodies b, regexp_matches(b.body, '(\.\s*"?)?\m([[:alpha:]_]\w*)"?\s*(\(?)', 'g') AS m
  WHERE m[1] IS NULL),
-- The types of users that a function has to do with: its parameters, and what its body names.
types (oid, type, name) AS (
  SELECT b.oid, t.oid, NULL
  FROM bodies b
  JOIN pg_proc p ON p.oid = b.oid
  CROSS JOIN unnest(p.proargtypes::oid[] || p.prorettype) AS used (type)
  JOIN pg_type t ON t.oid = used.type
  WHERE t.oid >= 16384
  UNION
  SELECT w.oid, t.oid, CASE WHEN b.body ~* replace('::\s*"?TYPE\M|\mas\s+"?TYPE"?\s*\)|\m\w+\s+"?TYPE"?\s*(\[\]\s*)?(;|:=|\mdefault\M|\mnot\M)',
    'TYPE', t.typname) THEN w.word END
  FROM words w
  JOIN bodies b ON b.oid = w.oid
  JOIN pg_type t ON t.typname::text = w.word
  LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE t.oid >= 16384 AND t.typname ~ '^\w+$' AND (c.relkind IS NULL OR c.relkind = 'c')),
named (oid, name) AS (
  SELECT w.oid, w.word
  FROM words w
  JOIN pg_proc p ON p.proname::text = w.word
  WHERE w.is_call AND p.oid >= 16384
    AND (NOT EXISTS (SELECT FROM pg_proc o WHERE o.proname = p.proname AND o.pronamespace = 'pg_catalog'::regnamespace)
      OR EXISTS (SELECT FROM types t WHERE t.oid = w.oid AND t.type = ANY(p.proargtypes)))
  UNION
  SELECT b.oid, lower(m[1])
  FROM bodies b, regexp_matches(b.body,
    '\m(?:from|join|update|insert\s+into)\s+(?:only\s+)?"?([[:alpha:]_]\w*)"?(?!\w|"?\s*\.)', 'gi') AS m
  JOIN pg_class c ON c.relname::text = lower(m[1])
  WHERE c.oid >= 16384
  UNION
  SELECT b.oid, m[1]
  FROM bodies b, regexp_matches(b.body, '''"?([[:alpha:]_]\w*)"?''', 'g') AS m
  WHERE EXISTS (SELECT FROM pg_ts_config WHERE cfgname::text = lower(m[1]) AND oid >= 16384)
    OR EXISTS (SELECT FROM pg_ts_dict WHERE dictname::text = lower(m[1]) AND oid >= 16384)
    OR b.body ~* ('(regclass|nextval|currval|setval)') AND EXISTS (SELECT FROM pg_class WHERE relname::text = lower(m[1]) AND oid >= 16384)
  UNION
  SELECT b.oid, m[1]
  FROM bodies b, regexp_matches(b.body, '(?<!:)([-+*/<>=~!@#%^&|`?]+)', 'g') AS m
  JOIN pg_operator o ON o.oprname::text = m[1]
  WHERE o.oid >= 16384
    AND (NOT EXISTS (SELECT FROM pg_operator s WHERE s.oprname = o.oprname AND s.oprnamespace = 'pg_catalog'::regnamespace)
      OR EXISTS (SELECT FROM types t WHERE t.oid = b.oid AND t.type IN (o.oprleft, o.oprright)))
  UNION
  SELECT oid, name FROM types WHERE name IS NOT NULL)
