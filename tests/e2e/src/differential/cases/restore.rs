//! What passes `pg_upgrade --check` and fails when the schema is restored, after the outage has begun.

use crate::differential::case::Case;

pub(super) const CASES: &[Case] = &[
    // Views and functions that use removed objects.
    Case::refused(
        "column of bgwriter",
        "CREATE VIEW v AS SELECT buffers_backend FROM pg_stat_bgwriter",
        &[("schema-restore", "\"column of bgwriter\": column pg_stat_bgwriter.buffers_backend does not exist")],
        "buffers_backend does not exist",
    )
    .on(10..=16)
    .across(17),
    Case::refused(
        "column of pg_database",
        "CREATE VIEW v AS SELECT daticulocale FROM pg_database",
        &[("schema-restore", "\"column of pg_database\": column pg_database.daticulocale does not exist")],
        "daticulocale does not exist",
    )
    .on(15..=16)
    .across(17),
    Case::refused(
        "column of WAL statistics",
        "CREATE VIEW v AS SELECT wal_write FROM pg_stat_wal",
        &[("schema-restore", "\"column of WAL statistics\": column")],
        "wal_write",
    )
    .on(14..=17)
    .across(18),
    Case::refused(
        "column in a function",
        "CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT wal_sync FROM pg_stat_wal; END",
        &[("schema-restore", "\"column in a function\": column pg_stat_wal.wal_sync does not exist")],
        "wal_sync does not exist",
    )
    .on(14..=17)
    .across(18),
    Case::refused(
        "factorial",
        "CREATE VIEW v AS SELECT !! 5::bigint AS f",
        &[("schema-restore", "\"factorial\": operator does not exist: !! bigint")],
        "operator does not exist",
    )
    .on(10..=13)
    .across(14),
    Case::refused(
        "containment of boxes",
        "CREATE TABLE t (b box CHECK (b @ '(0,0),(1,1)'::box))",
        &[("schema-restore", "\"containment of boxes\": operator does not exist")],
        "operator does not exist",
    )
    .on(10..=13)
    .across(14),
    Case::refused(
        "internal function",
        "CREATE FUNCTION f() RETURNS pg_lsn LANGUAGE internal AS 'pg_stop_backup'",
        &[("schema-restore", "\"internal function\": there is no built-in function named \"pg_stop_backup\"")],
        "there is no built-in function",
    )
    .on(10..=14)
    .across(15),
    Case::refused(
        "grant on a removed function",
        "GRANT EXECUTE ON FUNCTION pg_start_backup(text, boolean, boolean) TO pg_monitor",
        &[("schema-restore", "\"grant on a removed function\": function pg_catalog.pg_start_backup")],
        "pg_start_backup",
    )
    .on(10..=14)
    .across(15),
    Case::refused(
        "multirange",
        "CREATE TYPE floatmultirange AS ENUM ('a'); CREATE TYPE floatrange AS RANGE (subtype = float8)",
        &[("schema-restore", "\"multirange\": type \"floatmultirange\" already exists")],
        "already exists",
    )
    .on(10..=13)
    .across(14),
    // Settings.
    Case::refused(
        "setting of a function",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET operator_precedence_warning = on AS 'SELECT 1'",
        &[("schema-restore", "\"setting of a function\": unrecognized configuration parameter")],
        "unrecognized configuration parameter",
    )
    .on(10..=13)
    .across(14),
    Case::refused(
        "setting of a database",
        "ALTER DATABASE \"setting of a database\" SET operator_precedence_warning = on",
        &[
            ("removed-setting", "operator_precedence_warning"),
            ("schema-restore", "\"setting of a database\": unrecognized configuration parameter"),
        ],
        "unrecognized configuration parameter",
    )
    .on(10..=13)
    .across(14),
    Case::refused(
        "value of a setting",
        "ALTER DATABASE \"value of a setting\" SET password_encryption = 'on'",
        &[("schema-restore", "\"value of a setting\"")],
        "invalid value for parameter",
    )
    .on(10..=13)
    .across(14),
    Case::refused(
        "setting of a role",
        "CREATE ROLE careful; ALTER ROLE careful SET operator_precedence_warning = on",
        &[
            ("removed-setting", "operator_precedence_warning"),
            ("schema-restore", "roles of the server"),
        ],
        "unrecognized configuration parameter",
    )
    .in_server()
    .on(10..=13)
    .across(14)
    .alone(),
    Case::refused(
        "option of a column",
        "CREATE TABLE t (a int); UPDATE pg_attribute SET attoptions = '{bogus=1}' WHERE attrelid = 't'::regclass AND attnum = 1",
        &[
            ("column-option", "bogus"),
            ("schema-restore", "\"option of a column\": unrecognized parameter \"bogus\""),
        ],
        "unrecognized parameter",
    ),
    // Locales and sort order.
    Case::refused(
        "collation of a lost locale",
        "CREATE COLLATION lost (locale = 'de_DE.utf8');
         UPDATE pg_collation SET collcollate = 'xx_YY.utf8', collctype = 'xx_YY.utf8' WHERE collname = 'lost'",
        &[("locale", "\"collation of a lost locale\"")],
        "xx_YY",
    ),
    Case::refused(
        "partition in another order",
        "CREATE TABLE p (k text COLLATE \"und-x-icu\") PARTITION BY RANGE (k);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('z') TO (U&'\\+01FAE0')",
        &[("schema-restore", "\"partition in another order\": empty range bound specified")],
        "empty range bound specified",
    )
    .on(13..=13),
    Case::refused(
        "foreign key across collations",
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE p (k text COLLATE ci PRIMARY KEY); CREATE TABLE c (k text REFERENCES p)",
        &[("schema-restore", "\"foreign key across collations\": foreign key constraint")],
        "cannot be implemented",
    )
    .on(12..=17)
    .across(18),
    Case::refused(
        "label without provider",
        "CREATE TABLE t ();
         INSERT INTO pg_seclabel VALUES ('t'::regclass, 'pg_class'::regclass, 0, 'gone', 'top secret')",
        &[("schema-restore", "\"label without provider\": security label provider \"gone\" is not loaded")],
        "is not loaded",
    ),
    // Names and locations that fail only in the upgrade itself.
    Case::refused(
        "two\nlines",
        "CREATE TABLE t ()",
        &[("database-name", "two\\nlines")],
        "newline",
    )
    .alone(),
    Case::refused(
        "Zoë's",
        "CREATE TABLE t ()",
        &[("database-name", "Zo\\303\\253's")],
        "database \"Zoë's\" does not exist",
    )
    .with("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"),
    Case::refused(
        "named in latin",
        "CREATE DATABASE \"Zoé\"",
        &[("database-name", "Zo\\351"), ("unreachable-database", "\"Zo\u{fffd}\"")],
        "invalid byte sequence",
    )
    .with("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    .alone(),
    Case::refused(
        "locale lost by its own image",
        "UPDATE pg_database SET datcollate = 'xx_YY', datctype = 'xx_YY' WHERE datname = 'locale lost by its own image'",
        &[("unreachable-database", "\"locale lost by its own image\"")],
        "xx_YY",
    )
    .alone(),
    Case::refused(
        "library of each session",
        "ALTER DATABASE \"library of each session\" SET session_preload_libraries = 'adminpack'",
        &[("preload-library", "of database \"library of each session\" names libraries that the target image lacks")],
        "could not access file",
    )
    .on(10..=16)
    .across(17),
    Case::refused(
        "tablespace of an earlier try",
        "CREATE TABLESPACE tried LOCATION '/var/pv/spaces/tried'",
        &[("tablespace-in-the-way", "/var/pv/spaces/tried/PG_")],
        "new cluster tablespace directory already exists",
    )
    .in_server()
    .directories(&[
        "spaces/tried/PG_15_202209061",
        "spaces/tried/PG_17_202406281",
        "spaces/tried/PG_18_202506291",
    ])
    .undo("DROP TABLESPACE tried"),
    Case::refused(
        "tablespace in place",
        "SET allow_in_place_tablespaces = on;\n\nCREATE TABLESPACE in_place LOCATION ''",
        &[("tablespace-within-data", "data/pg_tblspc/")],
        "pg_tblspc",
    )
    .in_server()
    .on(15..=99)
    .alone(),
];
