-- The GRANTs by which roles with CREATEROLE get back what they could do with existing roles before 16, in an order in which
-- they succeed: a statement grants up to 50 roles.
-- Run by createrole.rs on the old server (before 16), and on the new one (16 or newer) before clients are let in.
--
-- The new grants lead from a role with CREATEROLE to one from which no membership leads to such a role: no order of them makes
-- a circle, which the server would reject. An existing membership keeps its other options. Only superusers may change roles
-- with REPLICATION, before 16 too.
WITH RECURSIVE within (member, granted) AS (
  SELECT member, roleid
  FROM pg_auth_members
  UNION
  SELECT w.member, m.roleid
  FROM within w
  JOIN pg_auth_members m ON m.member = w.granted
), creator AS (
  SELECT oid, rolname
  FROM pg_roles
  WHERE rolcreaterole AND NOT rolsuper AND oid >= 16384
), other AS (
  SELECT oid, rolname
  FROM pg_roles
  WHERE oid >= 16384 AND NOT rolsuper AND NOT rolcreaterole AND NOT rolreplication
    AND oid NOT IN (SELECT w.member FROM within w JOIN creator c ON c.oid = w.granted)
), administered (role, by) AS (
  SELECT roleid, member
  FROM pg_auth_members
  WHERE admin_option
  UNION
  SELECT m.roleid, w.member
  FROM pg_auth_members m
  JOIN within w ON w.granted = m.member
  WHERE m.admin_option
), missing (creator, role, options) AS (
  SELECT c.rolname, o.rolname,
    CASE WHEN EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = o.oid AND m.member = c.oid) THEN ''
    ELSE ', INHERIT FALSE, SET FALSE' END
  FROM creator c
  CROSS JOIN other o
  WHERE NOT EXISTS (SELECT FROM administered a WHERE a.role = o.oid AND a.by = c.oid)
), numbered AS (
  SELECT creator, role, options,
    (row_number() OVER (PARTITION BY creator, options ORDER BY role) - 1) / 50 AS part
  FROM missing
)
SELECT format('GRANT %s TO %I WITH ADMIN OPTION%s',
  string_agg(quote_ident(role), ', ' ORDER BY role), creator, options)
FROM numbered
GROUP BY creator, options, part
ORDER BY creator, options, part
