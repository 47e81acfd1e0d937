-- What is granted on relations of users to others than their owners.
-- Run by privileges/facts/read.rs on the serving database, the scratch server and the new server, on any version.
SELECT n.nspname, c.relname, g.rolname, a.privilege_type, a.is_grantable
FROM pg_catalog.pg_class c
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN pg_catalog.pg_authid g ON g.oid OPERATOR(pg_catalog.=) a.grantee
WHERE c.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid AND c.relacl IS NOT NULL
  AND a.grantee OPERATOR(pg_catalog.<>) c.relowner
