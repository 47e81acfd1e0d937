//! What `pg_upgrade --check` refuses as well, but only once the server is down.

use crate::differential::case::Case;

pub(super) const CASES: &[Case] = &[
    Case::refused(
        "closed",
        "\\connect postgres\n\nALTER DATABASE closed ALLOW_CONNECTIONS false",
        &[("closed-database", "closed")],
        "datallowconn",
    ),
    Case::refused(
        "half dropped",
        "\\connect postgres\n\nUPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half dropped'",
        &[("invalid-database", "half dropped")],
        "half dropped",
    ),
    Case::refused(
        "open template0",
        "ALTER DATABASE template0 ALLOW_CONNECTIONS true",
        &[("open-template0", "template0")],
        "template0 must not allow connections",
    )
    .in_server()
    .undo("ALTER DATABASE template0 ALLOW_CONNECTIONS false"),
    Case::refused(
        "locale of postgres",
        "UPDATE pg_database SET datcollate = 'de_DE.utf8' WHERE datname = 'postgres'",
        &[("template-locale", "postgres")],
        "lc_collate",
    )
    .in_server()
    .before(16)
    .undo(
        "UPDATE pg_database d SET datcollate = t.datcollate FROM pg_database t \
         WHERE d.datname = 'postgres' AND t.datname = 'template0'",
    ),
    // Columns, at any depth.
    Case::refused(
        "reg plain",
        "CREATE TABLE t (kept int, f regproc)",
        &[("reg-type-column", "public.t.f in \"reg plain\"")],
        "public.t.f",
    ),
    Case::refused(
        "reg deep",
        "CREATE TYPE c AS (kept text, f regoperator); CREATE DOMAIN d AS c[]; CREATE UNLOGGED TABLE t (d d)",
        &[("reg-type-column", "public.t.d in \"reg deep\"")],
        "public.t.d",
    ),
    Case::refused(
        "reg index",
        "CREATE TABLE t (o oid); CREATE INDEX i ON t ((o::regproc))",
        &[("reg-type-column", "public.i.o in \"reg index\"")],
        "public.i.o",
    ),
    Case::refused(
        "reg view",
        "CREATE MATERIALIZED VIEW m AS SELECT 'english'::regconfig AS c",
        &[("reg-type-column", "public.m.c in \"reg view\"")],
        "public.m.c",
    ),
    Case::refused(
        "reg partition",
        "CREATE TABLE p (k int, n regnamespace) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p DEFAULT",
        &[("reg-type-column", "public.p1.n in \"reg partition\"")],
        "public.p1.n",
    ),
    Case::refused(
        "reg odd names",
        "CREATE SCHEMA \"My \"\"schema\"\"\"; CREATE TABLE \"My \"\"schema\"\"\".\"Tablé\nof two lines\" (\"a b\" regdictionary)",
        &[("reg-type-column", "\"Tablé\nof two lines\".\"a b\" in \"reg odd names\"")],
        "of two lines.a b",
    ),
    Case::refused(
        "system row",
        "CREATE TABLE t (kept int, r pg_class)",
        &[("system-composite-column", "public.t.r in \"system row\"")],
        "public.t.r",
    ),
    Case::refused(
        "system rows",
        "CREATE TYPE c AS (kept int, r information_schema.tables); CREATE TABLE t (r c[])",
        &[("system-composite-column", "public.t.r in \"system rows\"")],
        "public.t.r",
    ),
    Case::refused(
        "aclitem",
        "CREATE TABLE t (a aclitem[])",
        &[("aclitem-column", "public.t.a in \"aclitem\"")],
        "public.t.a",
    )
    .across(16),
    // Removed in 14.
    Case::refused(
        "conversion",
        "CREATE CONVERSION c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        &[("encoding-conversion", "public.c in \"conversion\"")],
        "public.c",
    )
    .on(10..=13)
    .across(14),
    Case::refused(
        "postfix",
        "CREATE OPERATOR !+ (LEFTARG = int8, PROCEDURE = int8um)",
        &[("postfix-operator", "!+(bigint,NONE) in \"postfix\"")],
        "public.!+",
    )
    .on(10..=13)
    .across(14),
    Case::refused(
        "aggregate",
        "CREATE AGGREGATE collect (anyelement) (SFUNC = array_append, STYPE = anyarray, INITCOND = '{}')",
        &[("polymorphic-function", "aggregate public.collect(anyelement)")],
        "collect",
    )
    .on(10..=13)
    .across(14),
    Case::refused(
        "operator on arrays",
        "CREATE OPERATOR |+| (LEFTARG = anyarray, RIGHTARG = anyelement, PROCEDURE = array_append)",
        &[("polymorphic-function", "operator public.|+|(anyarray,anyelement)")],
        "|+|",
    )
    .on(10..=13)
    .across(14),
    // Libraries.
    Case::refused(
        "adminpack",
        "CREATE EXTENSION adminpack",
        &[("missing-library", "\"adminpack\" need $libdir/adminpack")],
        "$libdir/adminpack",
    )
    .on(10..=16)
    .across(17),
    Case::refused(
        "lost library",
        "CREATE FUNCTION f(cstring) RETURNS cstring LANGUAGE c AS '$libdir/refint', 'check_primary_key';
         UPDATE pg_proc SET probin = '/var/pv/lost.so' WHERE proname = 'f'",
        &[("missing-library", "\"lost library\" need /var/pv/lost.so")],
        "/var/pv/lost.so",
    ),
    // Not possible in 18.
    Case::refused(
        "heir may be null",
        "CREATE TABLE p (a int, b int); CREATE TABLE c (own int) INHERITS (p); ALTER TABLE ONLY p ALTER a SET NOT NULL",
        &[("not-null-inheritance", "public.c.a in \"heir may be null\"")],
        "public.c.a",
    )
    .on(10..=17),
    Case::refused(
        "heir of a key may be null",
        "CREATE TABLE p (a int, b int); CREATE TABLE c () INHERITS (p); CREATE TABLE d () INHERITS (c);
         ALTER TABLE ONLY p ADD PRIMARY KEY (b)",
        &[("not-null-inheritance", "public.c.b in \"heir of a key may be null\"")],
        "public.c.b",
    )
    .on(10..=17),
    // Replication, from 17 on.
    Case::refused(
        "slot behind",
        "SELECT pg_create_logical_replication_slot('behind', 'pgoutput');\n\nCREATE TABLE t AS SELECT 1 AS a",
        &[("unfinished-logical-slot", "behind (unused, ")],
        "behind",
    )
    .on(17..=99)
    .undo("SELECT pg_drop_replication_slot('behind')"),
    Case::refused(
        "subscription at work",
        "CREATE TABLE t (a int);
         CREATE SUBSCRIPTION at_work CONNECTION 'host=nowhere.invalid' PUBLICATION p
           WITH (connect = false, slot_name = NONE);
         INSERT INTO pg_subscription_rel SELECT oid, 't'::regclass, 'd', NULL FROM pg_subscription",
        &[("subscription-state", "at_work (table public.t in state d)")],
        "at_work",
    )
    .on(17..=99)
    .undo("DROP SUBSCRIPTION at_work"),
    Case::refused(
        "subscription without origin",
        "CREATE SUBSCRIPTION no_origin CONNECTION 'host=nowhere.invalid' PUBLICATION p
           WITH (connect = false, slot_name = NONE);
         SELECT pg_replication_origin_drop('pg_' || oid) FROM pg_subscription WHERE subname = 'no_origin'",
        &[("subscription-state", "no_origin (no replication origin)")],
        "no_origin",
    )
    .on(17..=99)
    .undo("DELETE FROM pg_subscription WHERE subname = 'no_origin'"),
    Case::refused(
        "prepared",
        "CREATE TABLE t (i int);\n\nBEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'left open'",
        &[("prepared-transaction", "left open (by postgres in prepared")],
        "prepared transactions",
    )
    .undo("ROLLBACK PREPARED 'left open'"),
];
