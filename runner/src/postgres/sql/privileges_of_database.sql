-- Owners, grants and definitions of what gives rights in the current database, one JSON object each:
-- - all schemas, languages, foreign-data wrappers, foreign servers, extensions, event triggers, default privileges, and
--   casts made by users;
-- - of the server's own functions, relations, columns and types those that have another owner or other grants than
--   initdb gives without a word, and those that users have put into the server's schemas;
-- - all functions that run as superuser, or are in a language that is not trusted. Those that the server itself makes with
--   a range type, and their casts, are left out: 14 makes more than 13.
-- Null grants are the default ones. What initdb has made is "built_in": OIDs below FirstNormalObjectId.
-- Run by privileges/read.rs on the serving database, the scratch server and the new server, on any version. {open} and
-- {close} make a digest of what is between them.
WITH own_schemas AS (
  SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema')
), constructors AS (
  SELECT oid FROM pg_proc WHERE oid >= 16384 AND prolang = 12 AND prosrc ~ '^(multi)?range_constructor[0-3]$'
), functions AS (
  SELECT p.oid, p.proowner, p.proacl, p.prosecdef, p.proleakproof, p.proconfig, p.prosrc, p.probin, p.proargtypes, l.lanname,
    format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
  JOIN pg_authid o ON o.oid = p.proowner
  WHERE p.oid < 16384 AND (p.proowner <> 10 OR p.proacl IS NOT NULL OR l.lanname <> 'internal')
    OR p.oid >= 16384 AND (p.pronamespace IN (SELECT oid FROM own_schemas)
      OR o.rolsuper AND p.prosecdef OR NOT l.lanpltrusted)
      AND p.oid NOT IN (SELECT oid FROM constructors)
), objects (kind, name, built_in, owner, acl, definition) AS (
  SELECT 'schema', quote_ident(nspname), oid < 16384, nspowner, COALESCE(nspacl, acldefault('n', nspowner)), NULL::text
  FROM pg_namespace
  WHERE nspname !~ '^pg_(toast|temp_|toast_temp_)'
  UNION ALL
  SELECT 'language', quote_ident(lanname), oid < 16384, lanowner, COALESCE(lanacl, acldefault('l', lanowner)),
    format('trusted %s, handler %s', lanpltrusted, lanplcallfoid::regproc)
  FROM pg_language
  UNION ALL
  SELECT 'foreign-data-wrapper', quote_ident(fdwname), oid < 16384, fdwowner, COALESCE(fdwacl, acldefault('F', fdwowner)),
    format('handler %s, validator %s', fdwhandler::regproc, fdwvalidator::regproc)
  FROM pg_foreign_data_wrapper
  UNION ALL
  SELECT 'foreign-server', quote_ident(s.srvname), s.oid < 16384, s.srvowner, COALESCE(s.srvacl, acldefault('S', s.srvowner)),
    format('wrapper %I', w.fdwname)
  FROM pg_foreign_server s
  JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
  UNION ALL
  SELECT 'extension', quote_ident(extname), oid < 16384, extowner, NULL, NULL
  FROM pg_extension
  UNION ALL
  SELECT 'event-trigger', quote_ident(evtname), false, evtowner, NULL,
    format('on %s, function %s, tags %s, enabled %s', evtevent, evtfoid::regprocedure, evttags, evtenabled)
  FROM pg_event_trigger
  UNION ALL
  SELECT 'cast', format('%s AS %s', castsource::regtype, casttarget::regtype), false, NULL, NULL,
    format('function %s, context %s, method %s', castfunc::regprocedure, castcontext, castmethod)
  FROM pg_cast
  WHERE oid >= 16384 AND castfunc NOT IN (SELECT oid FROM constructors)
  UNION ALL
  SELECT 'default-privileges', format('role %I, schema %s, objects %s', pg_get_userbyid(defaclrole),
    CASE WHEN defaclnamespace = 0 THEN '(any)' ELSE defaclnamespace::regnamespace::text END, defaclobjtype),
    false, defaclrole, defaclacl, NULL
  FROM pg_default_acl
  UNION ALL
  SELECT 'relation', format('%I.%I', n.nspname, c.relname), c.oid < 16384, c.relowner,
    COALESCE(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner)), NULL
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
    AND (c.oid < 16384 AND (c.relowner <> 10 OR c.relacl IS NOT NULL)
      OR c.oid >= 16384 AND c.relnamespace IN (SELECT oid FROM own_schemas))
  UNION ALL
  SELECT 'column', format('%I.%I.%I', n.nspname, c.relname, a.attname), true, NULL, a.attacl, NULL
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attrelid < 16384 AND a.attacl IS NOT NULL
  UNION ALL
  SELECT 'type', format('%I.%I', n.nspname, t.typname), t.oid < 16384, t.typowner,
    COALESCE(t.typacl, acldefault('T', t.typowner)), NULL
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.oid < 16384 AND (t.typowner <> 10 OR t.typacl IS NOT NULL)
    OR t.oid >= 16384 AND t.typnamespace IN (SELECT oid FROM own_schemas)
  UNION ALL
  SELECT 'function', name, oid < 16384, proowner, COALESCE(proacl, acldefault('f', proowner)),
    CASE WHEN oid >= 16384 OR lanname <> 'internal' THEN
      format('language %s, security definer %s, leakproof %s, settings %s, library %s, body %s', lanname, prosecdef,
        proleakproof, translate(array_to_string(proconfig, ','), '"'' ', ''), probin, {open}prosrc{close}) END
  FROM functions
)
SELECT json_build_object('kind', kind, 'name', name, 'built_in', built_in,
  'owner', CASE WHEN owner IS NOT NULL THEN pg_get_userbyid(owner) END,
  'grants', (SELECT json_agg(json_build_array(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
      a.privilege_type, a.is_grantable)) FROM aclexplode(acl) a),
  'definition', definition)::text
FROM objects
