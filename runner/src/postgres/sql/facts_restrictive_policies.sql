-- The policies that keep rows back.
-- Run by privileges/facts/read.rs on the serving database, the scratch server and the new server, on any version.
SELECT n.nspname, c.relname, p.polname, p.polcmd, p.polroles, p.polqual IS NOT NULL, p.polwithcheck IS NOT NULL
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) p.polrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE NOT p.polpermissive
