-- The types of users with their owners, without those of tables and arrays.
-- Run by privileges/facts/read.rs on the serving database, the scratch server and the new server, on any version.
SELECT n.nspname, t.typname, o.rolname
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
JOIN pg_catalog.pg_authid o ON o.oid OPERATOR(pg_catalog.=) t.typowner
WHERE t.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid AND t.typcategory OPERATOR(pg_catalog.<>) 'A'::pg_catalog."char"
  AND t.typtype OPERATOR(pg_catalog.=) ANY ('{b,d,e,r}'::pg_catalog."char"[])
