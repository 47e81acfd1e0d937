-- Owners and grants of databases and tablespaces, one JSON object each. Null grants are the default ones.
-- Run by privileges/read.rs on the serving database, the scratch server and the new server, on any version; from 15 on
-- privileges_of_parameters.sql follows.
SELECT json_build_object('kind', o.kind, 'name', o.name, 'built_in', o.oid < 16384, 'owner', pg_get_userbyid(o.owner),
  'grants', (SELECT json_agg(json_build_array(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
      a.privilege_type, a.is_grantable)) FROM aclexplode(o.acl) a))::text
FROM (
  SELECT 'database' AS kind, oid, datname::text AS name, datdba AS owner, COALESCE(datacl, acldefault('d', datdba)) AS acl
  FROM pg_database
  UNION ALL
  SELECT 'tablespace', oid, spcname::text, spcowner, COALESCE(spcacl, acldefault('t', spcowner))
  FROM pg_tablespace) AS o
