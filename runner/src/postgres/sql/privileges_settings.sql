-- The settings that are stored for databases and roles, one JSON object each. Values may be secrets, so there is only a
-- digest, of the value without quotes and spaces: pg_dumpall quotes lists in its own way. Values have the encoding of the
-- database in which they were given, so they are escaped before a function for text sees them.
-- Run by privileges/read.rs on the serving database, the scratch server and the new server, on any version. {open} and
-- {close} make a digest of what is between them.
SELECT json_build_object(
  'database', d.datname,
  'role', CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END,
  'name', lower(split_part(c.setting, '=', 1)),
  'value', {open}translate(substr(c.setting, strpos(c.setting, '=') + 1), '"'' ', ''){close})::text
FROM pg_db_role_setting s
CROSS JOIN unnest(s.setconfig) AS raw
CROSS JOIN encode(textsend(raw), 'escape') AS c (setting)
LEFT JOIN pg_database d ON d.oid = s.setdatabase
