-- The rules on relations of users, those of views among them.
-- Run by privileges/facts/read.rs on the serving database, the scratch server and the new server, on any version.
SELECT n.nspname, c.relname, r.rulename, r.ev_type, r.ev_enabled, r.is_instead
FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.ev_class
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid
