-- The functions of users: what they do, and with whose rights. Left out are those that the server makes with a
-- range type: 14 makes more than 13.
-- Run by privileges/facts/read.rs on the serving database, the scratch server and the new server, on any version.
SELECT n.nspname, p.proname, p.proargtypes, o.rolname, l.lanname, p.prosecdef, p.proleakproof, p.proconfig, p.probin, p.prosrc
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
JOIN pg_catalog.pg_authid o ON o.oid OPERATOR(pg_catalog.=) p.proowner
JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid
  AND NOT (p.prolang OPERATOR(pg_catalog.=) '12'::pg_catalog.oid
    AND p.prosrc OPERATOR(pg_catalog.~) '^(multi)?range_constructor[0-3]$'::pg_catalog.text)
