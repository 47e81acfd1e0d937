-- The triggers that users have created, with their functions.
-- Run by privileges/facts/read.rs on the serving database, the scratch server and the new server, on any version. {own}
-- leaves out those that partitions inherit, since 13.
SELECT n.nspname, c.relname, t.tgname, f.nspname, p.proname, t.tgtype, t.tgenabled
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid
JOIN pg_catalog.pg_namespace f ON f.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE NOT t.tgisinternal AND {own}
