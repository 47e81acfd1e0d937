-- What is granted on columns of users' relations to others than their owners.
-- Run by privileges/facts/read.rs on the serving database, the scratch server and the new server, on any version.
SELECT n.nspname, c.relname, t.attname, g.rolname, a.privilege_type, a.is_grantable
FROM pg_catalog.pg_attribute t
CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) AS a
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN pg_catalog.pg_authid g ON g.oid OPERATOR(pg_catalog.=) a.grantee
WHERE c.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid AND t.attacl IS NOT NULL
  AND a.grantee OPERATOR(pg_catalog.<>) c.relowner
