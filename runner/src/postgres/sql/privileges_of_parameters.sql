-- The same for parameters.
-- Run by privileges/read.rs on the serving database, the scratch server and the new server, appended to
-- privileges_of_server.sql, on versions from 15 on.
UNION ALL
SELECT json_build_object('kind', 'parameter', 'name', p.parname, 'built_in', false,
  'grants', (SELECT json_agg(json_build_array(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
      a.privilege_type, a.is_grantable)) FROM aclexplode(p.paracl) a))::text
FROM pg_parameter_acl p
