-- The memberships of the server, one JSON object each.
-- Run by privileges/read.rs on the serving database, the scratch server and the new server, on any version. {inherit} and
-- {set} are options of each membership since 16; before, the member decided about the first, and had the second.
SELECT json_build_object(
  'role', pg_get_userbyid(m.roleid),
  'member', pg_get_userbyid(m.member),
  'grantor', pg_get_userbyid(m.grantor),
  'admin', m.admin_option,
  'inherit', {inherit},
  'set', {set})::text
FROM pg_auth_members m
JOIN pg_authid member ON member.oid = m.member
