-- The functions that roles without superuser rights can change, of the current database: OID, name with arguments, owner, the
-- default values of arguments, and what the server may put in place of a call: the body of a function in SQL, parsed or as
-- text. Only superusers write functions in languages that are not trusted, C among them, whichever role owns them later.
-- Run by restore_code/stored.rs on the serving database, on any version. {body} is the parsed body, which exists since 14.
SELECT p.oid, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
  pg_get_userbyid(p.proowner)::text, p.proargdefaults::text,
  CASE WHEN i.inlined THEN {body} END,
  CASE WHEN i.inlined AND {body} IS NULL THEN p.prosrc END
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
JOIN pg_authid o ON o.oid = p.proowner
CROSS JOIN LATERAL (SELECT l.lanname = 'sql' AND NOT p.prosecdef AND NOT p.proretset AND p.proconfig IS NULL) AS i (inlined)
WHERE l.lanpltrusted AND NOT o.rolsuper
ORDER BY p.oid
