-- What is granted on functions of users to others than their owners, by default too.
-- Run by privileges/facts/read.rs on the serving database, the scratch server and the new server, on any version.
SELECT n.nspname, p.proname, p.proargtypes, g.rolname, a.privilege_type, a.is_grantable
FROM pg_catalog.pg_proc p
CROSS JOIN LATERAL pg_catalog.aclexplode(COALESCE(p.proacl, pg_catalog.acldefault('f'::pg_catalog."char", p.proowner))) AS a
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
LEFT JOIN pg_catalog.pg_authid g ON g.oid OPERATOR(pg_catalog.=) a.grantee
WHERE p.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid AND a.grantee OPERATOR(pg_catalog.<>) p.proowner
  AND NOT (p.prolang OPERATOR(pg_catalog.=) '12'::pg_catalog.oid
    AND p.prosrc OPERATOR(pg_catalog.~) '^(multi)?range_constructor[0-3]$'::pg_catalog.text)
