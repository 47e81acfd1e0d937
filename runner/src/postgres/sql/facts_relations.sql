-- The tables, views, sequences and composite types of users with their owners.
-- Run by privileges/facts/read.rs on the serving database, the scratch server and the new server, on any version.
SELECT n.nspname, c.relname, c.relkind, o.rolname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_authid o ON o.oid OPERATOR(pg_catalog.=) c.relowner
WHERE c.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid
  AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,S,f,p,c}'::pg_catalog."char"[])
