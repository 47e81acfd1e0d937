-- How the rights on the members of an extension differ from those that its script gave, as statements that make the difference again.
-- Run by client/extension_rights.rs on the new server before and after an update, whose script may drop members and create them again.
-- $1 is the extension's name.
--
-- Rights of the owner are left out: since 17 there is one more of them. So are those that the owner's default privileges give: what the
-- script creates again has them by itself.
WITH members AS (
  SELECT d.classid, d.objid
  FROM pg_depend d
  JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname::text = $1
), objects (classid, objid, object, owner, rights, kind, namespace, by_default) AS (
  SELECT m.classid, m.objid, 'ROUTINE ' || p.oid::regprocedure, p.proowner, p.proacl, 'f'::"char",
    p.pronamespace, acldefault('f', p.proowner)
  FROM members m
  JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
  UNION ALL
  SELECT m.classid, m.objid, CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass, c.relowner, c.relacl,
    CASE c.relkind WHEN 'S' THEN 'S' ELSE 'r' END::"char", c.relnamespace,
    acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)
  FROM members m
  JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT m.classid, m.objid, 'TYPE ' || t.oid::regtype, t.typowner, t.typacl, 'T', t.typnamespace, acldefault('T', t.typowner)
  FROM members m
  JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid AND t.typtype IN ('b', 'e', 'r')
  UNION ALL
  SELECT m.classid, m.objid, format('SCHEMA %I', n.nspname), n.nspowner, n.nspacl, 'n', 0::oid, acldefault('n', n.nspowner)
  FROM members m
  JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
), now AS (
  SELECT o.classid, o.objid, a.grantee, a.privilege_type, a.is_grantable
  FROM objects o
  CROSS JOIN LATERAL aclexplode(COALESCE(o.rights, o.by_default)) AS a
), first_rights AS (
  SELECT o.classid, o.objid, COALESCE(i.initprivs, e.defaclacl, o.by_default) AS rights
  FROM objects o
  LEFT JOIN pg_init_privs i ON i.classoid = o.classid AND i.objoid = o.objid AND i.objsubid = 0 AND i.privtype = 'e'
  LEFT JOIN pg_default_acl e ON e.defaclrole = o.owner AND e.defaclobjtype = o.kind AND e.defaclnamespace = 0
  UNION ALL
  SELECT o.classid, o.objid, s.defaclacl
  FROM objects o
  JOIN pg_default_acl s ON s.defaclrole = o.owner AND s.defaclobjtype = o.kind AND s.defaclnamespace = o.namespace
  WHERE o.namespace <> 0 AND NOT EXISTS (SELECT FROM pg_init_privs i
    WHERE i.classoid = o.classid AND i.objoid = o.objid AND i.objsubid = 0 AND i.privtype = 'e')
), at_first AS (
  SELECT f.classid, f.objid, a.grantee, a.privilege_type, a.is_grantable
  FROM first_rights f
  CROSS JOIN LATERAL aclexplode(f.rights) AS a
), changed AS (
  (SELECT 'GRANT' AS action, * FROM now EXCEPT SELECT 'GRANT', * FROM at_first)
  UNION ALL
  (SELECT 'REVOKE', classid, objid, grantee, privilege_type, false FROM at_first
    EXCEPT SELECT 'REVOKE', classid, objid, grantee, privilege_type, false FROM now)
)
SELECT format('%s %s ON %s %s %s%s', c.action, c.privilege_type, o.object, CASE c.action WHEN 'GRANT' THEN 'TO' ELSE 'FROM' END,
  CASE c.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(c.grantee)) END,
  CASE WHEN c.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM changed c
JOIN objects o ON o.classid = c.classid AND o.objid = c.objid AND o.owner <> c.grantee
ORDER BY 1
