-- Facts about the whole server, as pairs of text: name and value.
-- The same statements run on every version from 13 on and return the same rows before and after an upgrade.

SELECT 'setting ' || name, setting FROM pg_settings
WHERE name IN ('data_checksums', 'wal_segment_size', 'block_size');

SELECT format('database %I', datname),
    concat_ws(' ', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype,
        'template', datistemplate, 'connections', datallowconn, datconnlimit)
FROM pg_database;

SELECT format('database %I grants', datname),
    (SELECT string_agg(g, ', ' ORDER BY g) FROM (
        SELECT format('%s to %s%s by %s', privilege_type, CASE grantee WHEN 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(grantee)) END,
            CASE WHEN is_grantable THEN ' with grant option' END, quote_ident(pg_get_userbyid(grantor)))
        FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))) AS grants (g))
FROM pg_database;

SELECT format('database %I comment', datname), shobj_description(oid, 'pg_database')
FROM pg_database WHERE datname NOT IN ('template0', 'template1', 'postgres') AND shobj_description(oid, 'pg_database') IS NOT NULL;

SELECT format('role %I', rolname),
    concat_ws(' ', CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolinherit THEN 'inherit' END,
        CASE WHEN rolcreaterole THEN 'createrole' END, CASE WHEN rolcreatedb THEN 'createdb' END,
        CASE WHEN rolcanlogin THEN 'login' END, CASE WHEN rolreplication THEN 'replication' END,
        CASE WHEN rolbypassrls THEN 'bypassrls' END, 'connections', rolconnlimit, 'valid until', rolvaliduntil,
        'password', md5(rolpassword), 'comment', shobj_description(oid, 'pg_authid'))
FROM pg_authid WHERE rolname !~ '^pg_';

-- Without the grantor, which may change: it may have been dropped, which 16 no longer accepts.
SELECT format('membership of %I in %I', m.rolname, r.rolname), CASE WHEN bool_or(admin_option) THEN 'with admin option' ELSE '' END
FROM pg_auth_members JOIN pg_authid r ON r.oid = roleid JOIN pg_authid m ON m.oid = member
WHERE m.rolname !~ '^pg_'
GROUP BY m.rolname, r.rolname;

SELECT format('settings of role %s in database %s', coalesce(quote_ident(rolname), '*'), coalesce(quote_ident(datname), '*')),
    (SELECT string_agg(s, ', ' ORDER BY s) FROM unnest(setconfig) s)
FROM pg_db_role_setting LEFT JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_authid r ON r.oid = setrole;
