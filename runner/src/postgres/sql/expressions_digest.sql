-- A digest of all that users have stored in the current database and a restore parses: it reads the constants in it by the
-- types' own rules, the checks of domains among them.
-- Run by restore_code/stored.rs on the serving database, on versions from 13 on. {body} is the parsed body of a function, which
-- exists since 14.
SELECT encode(sha256(COALESCE(string_agg(sha256(convert_to(concat_ws(' ', s.catalog, s.oid, s.part), getdatabaseencoding())),
  ''::bytea ORDER BY s.catalog, s.oid, s.number), ''::bytea)), 'hex')
FROM (
  SELECT 'aggregate' AS catalog, a.aggfnoid::oid AS oid, 1 AS number, a.agginitval AS part FROM pg_aggregate a
  UNION ALL
  SELECT 'aggregate', a.aggfnoid::oid, 2, a.aggminitval FROM pg_aggregate a
  UNION ALL
  SELECT 'attrdef', d.oid, 1, d.adbin::text FROM pg_attrdef d
  UNION ALL
  SELECT 'attribute', a.attrelid, a.attnum, a.attmissingval::text FROM pg_attribute a
  UNION ALL
  SELECT 'class', c.oid, 1, c.relpartbound::text FROM pg_class c
  UNION ALL
  SELECT 'constraint', c.oid, 1, c.conbin::text FROM pg_constraint c
  UNION ALL
  SELECT 'policy', p.oid, 1, p.polqual::text FROM pg_policy p
  UNION ALL
  SELECT 'policy', p.oid, 2, p.polwithcheck::text FROM pg_policy p
  UNION ALL
  SELECT 'proc', p.oid, 1, p.proargdefaults::text FROM pg_proc p
  UNION ALL
  SELECT 'proc', p.oid, 2, {body} FROM pg_proc p
  UNION ALL
  SELECT 'rewrite', r.oid, 1, r.ev_action::text FROM pg_rewrite r
  UNION ALL
  SELECT 'rewrite', r.oid, 2, r.ev_qual::text FROM pg_rewrite r
  UNION ALL
  SELECT 'trigger', t.oid, 1, t.tgqual::text FROM pg_trigger t
  UNION ALL
  SELECT 'type', t.oid, 1, t.typdefaultbin::text FROM pg_type t) AS s
WHERE s.oid >= 16384 AND s.part IS NOT NULL
