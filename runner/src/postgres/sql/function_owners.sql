-- The owners of functions of the current database, and whether each is a superuser. $1 has the functions as
-- executed_functions.sql names them.
-- Run by restore_code.rs on the serving database, on any version.
SELECT f.name, pg_get_userbyid(f.proowner)::text, o.rolsuper
FROM (SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name, p.proowner
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE p.oid >= 16384) AS f
JOIN pg_authid o ON o.oid = f.proowner
WHERE f.name = ANY($1::text[])
