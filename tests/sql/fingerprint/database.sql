-- Facts about one database, as pairs of text: name and value.
-- The same statements run on every version from 13 on and return the same rows before and after an upgrade.
-- Excluded is what an upgrade changes on purpose: members of extensions and their versions, the
-- multirange types that 14 adds to each range type, the privilege MAINTAIN that 17 adds, NOT NULL
-- as a constraint, which 18 adds, and text that the server generates, such as a view's definition.

CREATE TEMP TABLE pgops_objects AS
WITH candidates (catalog, oid, owner) AS (
    SELECT 'pg_class'::regclass, oid, relowner FROM pg_class
        WHERE relkind <> 't' AND relpersistence <> 't' AND relnamespace <> 'pg_toast'::regnamespace
    UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc WHERE prosrc !~ '^(multi)?range_constructor'
    -- Row types and array types depend on their tables and types; sequences had row types before 14.
    UNION ALL SELECT 'pg_type'::regclass, t.oid, t.typowner FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE t.typtype <> 'm' AND t.typelem = 0 AND coalesce(c.relkind, 'c') = 'c'
    UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner FROM pg_operator
    UNION ALL SELECT 'pg_opclass'::regclass, oid, opcowner FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfowner FROM pg_opfamily
    UNION ALL SELECT 'pg_cast'::regclass, c.oid, NULL FROM pg_cast c JOIN pg_type t ON t.oid = casttarget WHERE t.typtype <> 'm'
    UNION ALL SELECT 'pg_conversion'::regclass, oid, conowner FROM pg_conversion
    UNION ALL SELECT 'pg_collation'::regclass, oid, collowner FROM pg_collation
    UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgowner FROM pg_ts_config
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictowner FROM pg_ts_dict
    UNION ALL SELECT 'pg_ts_parser'::regclass, oid, NULL FROM pg_ts_parser
    UNION ALL SELECT 'pg_ts_template'::regclass, oid, NULL FROM pg_ts_template
    UNION ALL SELECT 'pg_event_trigger'::regclass, oid, evtowner FROM pg_event_trigger
    UNION ALL SELECT 'pg_publication'::regclass, oid, pubowner FROM pg_publication
    UNION ALL SELECT 'pg_subscription'::regclass, oid, subowner FROM pg_subscription
        WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxowner FROM pg_statistic_ext
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, fdwowner FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_foreign_server'::regclass, oid, srvowner FROM pg_foreign_server
    UNION ALL SELECT 'pg_user_mapping'::regclass, oid, NULL FROM pg_user_mapping
    UNION ALL SELECT 'pg_trigger'::regclass, oid, NULL FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'pg_policy'::regclass, oid, NULL FROM pg_policy
    -- A view's own rule is not a member of an extension, even if the view is.
    UNION ALL SELECT 'pg_rewrite'::regclass, oid, NULL FROM pg_rewrite r WHERE NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = r.ev_class AND d.deptype = 'e')
    UNION ALL SELECT 'pg_constraint'::regclass, oid, NULL FROM pg_constraint WHERE contype <> 'n' AND contype <> 't'
    UNION ALL SELECT 'pg_attrdef'::regclass, oid, NULL FROM pg_attrdef
    UNION ALL SELECT 'pg_am'::regclass, oid, NULL FROM pg_am
    UNION ALL SELECT 'pg_language'::regclass, oid, lanowner FROM pg_language
    UNION ALL SELECT 'pg_extension'::regclass, oid, extowner FROM pg_extension
    UNION ALL SELECT 'pg_default_acl'::regclass, oid, NULL FROM pg_default_acl
)
SELECT catalog, oid, owner, (i).type, (i).identity
FROM (SELECT *, pg_identify_object(catalog, oid, 0) AS i FROM candidates) c
WHERE oid >= 16384 AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = c.catalog AND d.objid = c.oid AND d.deptype = 'e');

SELECT format('%s %s', type, identity), coalesce('owned by ' || pg_get_userbyid(owner), 'exists') FROM pg_temp.pgops_objects;

CREATE TEMP VIEW pgops_grants AS
SELECT what, string_agg(format('%s to %s%s by %s', privilege_type,
    CASE grantee WHEN 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' with grant option' END, quote_ident(pg_get_userbyid(grantor))), ', '
    ORDER BY privilege_type, grantee = 0, pg_get_userbyid(grantee), is_grantable, pg_get_userbyid(grantor)) AS grants
FROM (
    SELECT 'relation ' || oid::regclass, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
        FROM pg_class JOIN pgops_objects USING (oid) WHERE catalog = 'pg_class'::regclass AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL SELECT format('column %s.%I', attrelid::regclass, attname), attacl
        FROM pg_attribute WHERE attrelid >= 16384 AND attacl IS NOT NULL
    UNION ALL SELECT 'function ' || oid::regprocedure, coalesce(proacl, acldefault('f', proowner))
        FROM pg_proc JOIN pgops_objects USING (oid) WHERE catalog = 'pg_proc'::regclass
    UNION ALL SELECT 'type ' || oid::regtype, coalesce(typacl, acldefault('T', typowner))
        FROM pg_type JOIN pgops_objects USING (oid) WHERE catalog = 'pg_type'::regclass AND typelem = 0
    UNION ALL SELECT format('schema %I', nspname), coalesce(nspacl, acldefault('n', nspowner))
        FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION ALL SELECT format('server %I', srvname), coalesce(srvacl, acldefault('S', srvowner)) FROM pg_foreign_server
    UNION ALL SELECT format('wrapper %I', fdwname), coalesce(fdwacl, acldefault('F', fdwowner)) FROM pg_foreign_data_wrapper
    UNION ALL SELECT format('language %I', lanname), coalesce(lanacl, acldefault('l', lanowner)) FROM pg_language
    UNION ALL SELECT format('large object %s', oid), coalesce(lomacl, acldefault('L', lomowner)) FROM pg_largeobject_metadata
    UNION ALL SELECT format('new objects "%s" of %I in %s', defaclobjtype, pg_get_userbyid(defaclrole), defaclnamespace::regnamespace), defaclacl
        FROM pg_default_acl
) AS acls (what, acl), aclexplode(acl)
WHERE privilege_type <> 'MAINTAIN'
GROUP BY what;

SELECT 'grants on ' || what, grants FROM pg_temp.pgops_grants;

SELECT format('comment on %s %s', (i).type, (i).identity), description
FROM (
    SELECT description, pg_identify_object(classoid, objoid, objsubid) AS i FROM pg_description d
    WHERE objoid >= 16384 AND NOT EXISTS (
        SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')
) c;

SELECT 'relation ' || oid::regclass,
    concat_ws(' ', 'kind', relkind, CASE relpersistence WHEN 'u' THEN 'unlogged' END, 'populated', relispopulated,
        'row security', relrowsecurity, relforcerowsecurity, 'identity', relreplident, 'partition', relispartition,
        (SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(reloptions) o), pg_get_expr(relpartbound, oid))
FROM pg_class JOIN pg_temp.pgops_objects USING (oid) WHERE catalog = 'pg_class'::regclass AND relkind NOT IN ('i', 'I');

SELECT format('column %s.%I', attrelid::regclass, attname),
    concat_ws(' ', row_number() OVER (PARTITION BY attrelid ORDER BY attnum), format_type(atttypid, atttypmod),
        CASE WHEN attnotnull THEN 'not null' END, 'default', atthasdef, attidentity, attgenerated, 'storage', attstorage,
        'statistics', nullif(attstattarget, -1), 'inherited', attinhcount > 0, attislocal,
        nullif(attcollation, 0)::regcollation, (SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(attfdwoptions) o))
FROM pg_attribute JOIN pg_temp.pgops_objects ON oid = attrelid AND catalog = 'pg_class'::regclass
WHERE attnum > 0 AND NOT attisdropped;

SELECT 'index ' || indexrelid::regclass,
    concat_ws(' ', amname, 'on', indrelid::regclass, indnkeyatts, indnatts, CASE WHEN indisunique THEN 'unique' END,
        CASE WHEN indisprimary THEN 'primary' END, CASE WHEN indisclustered THEN 'clustered' END,
        CASE WHEN indisvalid THEN 'valid' ELSE 'INVALID' END, (SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(reloptions) o))
FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam
WHERE indexrelid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace AND relpersistence <> 't';

SELECT format('constraint %s on %s', conname, CASE conrelid WHEN 0 THEN contypid::regtype::text ELSE conrelid::regclass::text END),
    concat_ws(' ', contype, 'valid', convalidated, 'deferrable', condeferrable, condeferred, 'local', conislocal)
FROM pg_constraint JOIN pg_temp.pgops_objects USING (oid) WHERE catalog = 'pg_constraint'::regclass;

SELECT format('sequence %s', format('%I.%I', schemaname, sequencename)),
    concat_ws(' ', data_type, 'start', start_value, 'min', min_value, 'max', max_value, 'by', increment_by, 'cache', cache_size,
        'cycle', cycle)
FROM pg_sequences;

SELECT format('trigger %s on %s', tgname, tgrelid::regclass), concat_ws(' ', 'enabled', tgenabled, 'type', tgtype, tgfoid::regprocedure)
FROM pg_trigger WHERE NOT tgisinternal;

SELECT 'event trigger ' || evtname, concat_ws(' ', evtevent, 'enabled', evtenabled, evttags::text) FROM pg_event_trigger;

SELECT format('policy %s on %s', polname, polrelid::regclass),
    concat_ws(' ', polcmd, 'permissive', polpermissive, (SELECT string_agg(r::regrole::text, ',' ORDER BY r::regrole::text) FROM unnest(polroles) r))
FROM pg_policy;

SELECT 'function ' || oid::regprocedure,
    concat_ws(' ', prokind, 'volatile', provolatile, 'parallel', proparallel, 'strict', proisstrict, 'definer', prosecdef,
        proconfig::text, md5(prosrc))
FROM pg_proc JOIN pg_temp.pgops_objects USING (oid) WHERE catalog = 'pg_proc'::regclass;

SELECT 'enum ' || enumtypid::regtype, string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM pg_enum GROUP BY enumtypid;

SELECT 'server ' || srvname, concat_ws(' ', srvtype, srvversion, (SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(srvoptions) o)) FROM pg_foreign_server;

SELECT format('mapping of %s on %s', usename, srvname), (SELECT md5(string_agg(o, ' ' ORDER BY o)) FROM unnest(umoptions) o) FROM pg_user_mappings;

SELECT format('publication %s', pubname), concat_ws(' ', puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot,
    (SELECT string_agg(t.schemaname || '.' || t.tablename, ', ' ORDER BY t.schemaname, t.tablename) FROM pg_publication_tables t WHERE t.pubname = p.pubname))
FROM pg_publication p;

SELECT format('statistics %s', stxname), concat_ws(' ', stxrelid::regclass, stxkind::text, stxkeys) FROM pg_statistic_ext;

SELECT format('large object %s', oid),
    format('of %s, %s bytes, md5 %s', pg_get_userbyid(lomowner), length(lo_get(oid)), md5(lo_get(oid)))
FROM pg_largeobject_metadata;

-- Contents of relations: one query for each, which the caller runs.
CREATE TEMP VIEW pgops_contents AS
SELECT format('SELECT %L, format(''%%s rows, sum %%s'', count(*), sum(hashtextextended(pgops_row::text, 0))) FROM ONLY %s AS pgops_row',
    'rows of ' || oid::regclass, oid::regclass) AS query
FROM pg_class JOIN pgops_objects USING (oid)
WHERE catalog = 'pg_class'::regclass AND (relkind = 'r' OR relkind = 'm' AND relispopulated)
UNION ALL
SELECT format('SELECT %L, format(''at %%s, called %%s'', last_value, is_called) FROM %s', 'sequence ' || oid::regclass || ' state', oid::regclass)
FROM pg_class JOIN pgops_objects USING (oid) WHERE catalog = 'pg_class'::regclass AND relkind = 'S'
UNION ALL
SELECT format('SELECT %L, format(''%%s rows'', count(*)) FROM %s', 'view ' || oid::regclass, oid::regclass)
FROM pg_class JOIN pgops_objects USING (oid) WHERE catalog = 'pg_class'::regclass AND relkind = 'v';
