//! What both sides must pass.

use crate::differential::case::Case;

pub(super) const CASES: &[Case] = &[
    Case::passed("plain", "CREATE TABLE t (id int PRIMARY KEY, t text); INSERT INTO t VALUES (1, 'one')"),
    // Names.
    Case::passed("it's = \"a\" \\ name\t$x `y` %s;--", "CREATE TABLE \"it's\"\"a\\name\" (\"\n\" int)"),
    Case::passed("Ünïcødé 数据库", "CREATE TABLE \"表\" (\"列\" int); COMMENT ON TABLE \"表\" IS E'\\n''\"\\\\'"),
    Case::passed("a=b", "CREATE SCHEMA \"-- x\"; CREATE TABLE \"-- x\".\"\\connect y\" ()"),
    Case::passed(
        "names of roles",
        "CREATE ROLE \"it's \"\"a\"\" \\ role\" PASSWORD 'it''s \\'; CREATE ROLE \"Ünïcødé\" IN ROLE \"it's \"\"a\"\" \\ role\";
         ALTER ROLE \"it's \"\"a\"\" \\ role\" SET search_path = \"it's\", 'a', b;
         CREATE TABLE t (); ALTER TABLE t OWNER TO \"it's \"\"a\"\" \\ role\"; GRANT SELECT ON t TO \"Ünïcødé\" WITH GRANT OPTION",
    ),
    Case::passed(
        "password of old",
        "SET password_encryption = 'md5'; CREATE ROLE legacy LOGIN PASSWORD 'kept as md5'",
    )
    .in_server()
    .on(14..=99),
    Case::passed(
        "grantor without the right",
        "CREATE ROLE a; CREATE ROLE b; CREATE ROLE c; GRANT a TO c WITH ADMIN OPTION;
         SET ROLE c; GRANT a TO b; RESET ROLE; REVOKE ADMIN OPTION FOR a FROM c",
    )
    .in_server()
    .on(10..=15),
    Case::passed("role of two lines", "CREATE ROLE \"two\nlines\" PASSWORD 'x'; CREATE TABLE t (); ALTER TABLE t OWNER TO \"two\nlines\""),
    Case::passed(
        "names of tablespaces",
        "CREATE TABLESPACE \"it's \"\"a\"\" \\ space ü\" LOCATION '/var/pv/spaces/\"a\" \\ space ü'\n\n\
         CREATE TABLE t TABLESPACE \"it's \"\"a\"\" \\ space ü\" AS SELECT generate_series(1, 1000) AS g",
    )
    .directories(&["spaces/\"a\" \\ space ü"]),
    Case::passed("keywords of newer versions", "CREATE TABLE \"system_user\" (\"system_user\" int, \"merge_action\" int, \"json_table\" int)"),
    // Objects without storage, or whose OIDs are preserved.
    Case::passed(
        "reg that may be",
        "CREATE TABLE t (a regclass, b regrole, c regtype); CREATE VIEW v AS SELECT 'now'::regproc AS f;
         CREATE TABLE p (k int, f regproc) PARTITION BY LIST (k); CREATE TYPE c AS (f regproc);
         CREATE TABLE d (kept int, gone regproc, r information_schema.sql_identifier); ALTER TABLE d DROP COLUMN gone",
    ),
    Case::passed("in another encoding", "CREATE TABLE \"Zoë\" (\"Ü\" text DEFAULT 'é'); COMMENT ON TABLE \"Zoë\" IS 'ü'")
        .with("ENCODING 'LATIN1' LC_COLLATE 'de_DE' LC_CTYPE 'de_DE' TEMPLATE template0"),
    Case::passed(
        "no encoding",
        "SET client_encoding = 'SQL_ASCII'; CREATE TABLE t AS SELECT convert_from('\\xe4'::bytea, 'SQL_ASCII') AS t;
         DO $$ BEGIN EXECUTE format('CREATE TABLE %I (%1$I int)', convert_from('\\xe4f6'::bytea, 'SQL_ASCII')); END $$",
    )
    .with("ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"),
    Case::passed("alias of a locale", "CREATE COLLATION c (locale = 'en_US.utf8'); CREATE TABLE t (t text COLLATE c)")
        .with("LC_COLLATE 'de_DE.utf8' LC_CTYPE 'en_US.UTF-8' TEMPLATE template0"),
    Case::passed(
        "odd ICU locales",
        "CREATE COLLATION odd (provider = icu, locale = 'und-u-co-emoji');
         CREATE COLLATION odder (provider = icu, locale = '@colStrength=secondary', deterministic = false);
         CREATE TABLE t (a text COLLATE odd, b text COLLATE odder)",
    ),
    // Objects of many kinds.
    Case::passed(
        "methods of access",
        "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE t (a int) USING heap2;
         CREATE ACCESS METHOD btree2 TYPE INDEX HANDLER bthandler",
    ),
    Case::passed(
        "raises at every definition",
        "CREATE TABLE t (id int); CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
         CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no definitions'; END $$;
         CREATE FUNCTION g() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
         CREATE EVENT TRIGGER a ON sql_drop EXECUTE FUNCTION g(); CREATE EVENT TRIGGER b ON ddl_command_start EXECUTE FUNCTION f();
         CREATE EVENT TRIGGER c ON ddl_command_end EXECUTE FUNCTION f()",
    ),
    Case::passed(
        "extension without files",
        "INSERT INTO pg_extension SELECT 99999, 'homemade', 10, 'public'::regnamespace, true, '1.0', NULL, NULL;
         CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER EXTENSION homemade ADD FUNCTION f()",
    ),
    Case::passed(
        "members changed",
        "CREATE EXTENSION hstore; ALTER FUNCTION hstore_in(cstring) COST 7; GRANT EXECUTE ON FUNCTION akeys TO pg_monitor;
         CREATE EXTENSION pg_stat_statements; CREATE VIEW v AS SELECT queryid, calls FROM pg_stat_statements",
    ),
    Case::passed("library without path", "CREATE FUNCTION f() RETURNS trigger LANGUAGE c AS 'refint', 'check_primary_key'"),
    Case::passed("default since gone", "CREATE TABLE t (a int); CREATE INDEX i ON t (a) WITH (vacuum_cleanup_index_scale_factor = 5)")
        .on(11..=13),
    Case::passed(
        "only for this session",
        "CREATE UNLOGGED TABLE u (id serial, t text); INSERT INTO u (t) SELECT 'x' FROM generate_series(1, 100);
         CREATE TEMP TABLE gone (f regproc)",
    ),
    Case::passed("a hundred thousand large objects", "SELECT count(lo_create(0)) FROM generate_series(1, 100001)")
        .on(15..=15),
    // Settings that are preserved.
    Case::passed(
        "settings",
        "ALTER DATABASE settings SET default_transaction_read_only = on; ALTER DATABASE settings SET app.\"Key\" = 'it''s';
         ALTER DATABASE settings SET session_replication_role = replica;
         ALTER DATABASE settings SET check_function_bodies = off; ALTER DATABASE settings SET search_path = ''",
    ),
    // Replication.
    Case::passed("physical slot", "SELECT pg_create_physical_replication_slot('standby_1')").in_server(),
    Case::passed(
        "subscription",
        "CREATE TABLE t (a int); CREATE PUBLICATION p FOR ALL TABLES;
         CREATE SUBSCRIPTION afar CONNECTION 'host=nowhere.invalid password=x' PUBLICATION p
           WITH (connect = false, slot_name = NONE);
         INSERT INTO pg_subscription_rel SELECT oid, 't'::regclass, 'i', NULL FROM pg_subscription",
    ),
    // From 17 on.
    Case::passed("provided by PostgreSQL", "CREATE TABLE t (t text PRIMARY KEY)")
        .with("LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' TEMPLATE template0")
        .on(17..=99),
    Case::passed(
        "notes each login",
        "CREATE TABLE seen (at timestamptz DEFAULT now());
         CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen DEFAULT VALUES; END $$;
         CREATE EVENT TRIGGER t ON login EXECUTE FUNCTION f(); ALTER EVENT TRIGGER t ENABLE ALWAYS",
    )
    .on(17..=99),
    // No longer supported for new tables, but accepted for upgraded ones?
    Case::passed(
        "unlogged partitions",
        "CREATE UNLOGGED TABLE p (k int) PARTITION BY LIST (k); CREATE UNLOGGED TABLE p1 PARTITION OF p DEFAULT",
    )
    .on(10..=17),
];
