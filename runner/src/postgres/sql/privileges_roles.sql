-- The roles of the server with their attributes, one JSON object each. Of the password there is only a digest.
-- Run by privileges/read.rs on the serving database, the scratch server and the new server, on any version. {open} and
-- {close} make a digest of what is between them.
SELECT json_build_object(
  'name', rolname,
  'superuser', rolsuper,
  'createrole', rolcreaterole,
  'createdb', rolcreatedb,
  'replication', rolreplication,
  'bypassrls', rolbypassrls,
  'login', rolcanlogin,
  'inherit', rolinherit,
  'valid_until', extract(epoch FROM rolvaliduntil)::text,
  'password', {open}rolpassword{close})::text
FROM pg_authid
