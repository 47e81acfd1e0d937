//! Duties about objects other than indexes.

use super::duty::{Action, Duty, Evidence, Objects, Older, Upgrades};

pub const DUTIES: &[Duty] = &[
    Duty {
        id: "view-column-privileges",
        releases: &[(13, 2)],
        older: Older::Sound,
        evidence: Evidence::OldRelease,
        // The restore of a major upgrade parses views again.
        upgrades: Upgrades::Minor,
        objects: Objects::Database(
            "SELECT DISTINCT format('%I.%I', n.nspname, v.relname) FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid \
             JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace \
             WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.relkind = 'v' \
             AND v.oid >= 16384 AND d.refobjid IN (SELECT attrelid FROM pg_attribute \
               WHERE attacl IS NOT NULL AND attnum > 0 AND attrelid >= 16384) ORDER BY 1",
        ),
        what: "views on tables with privileges on columns may let their users read other columns (CVE-2021-20229)",
        action: Action::Tell("CREATE OR REPLACE VIEW them as they are (pg_get_viewdef)"),
    },
    Duty {
        id: "partition-deferrability",
        releases: &[(13, 3)],
        older: Older::Sound,
        evidence: Evidence::Objects,
        // pg_dump gives all partitions what the partitioned table has.
        upgrades: Upgrades::Minor,
        objects: Objects::Database(
            "SELECT DISTINCT format('%I of %s', p.conname, p.conrelid::regclass) FROM pg_constraint c \
             JOIN pg_constraint p ON p.oid = c.conparentid WHERE c.contype = 'f' AND p.contype = 'f' \
             AND (c.condeferrable, c.condeferred) <> (p.condeferrable, p.condeferred) ORDER BY 1",
        ),
        what: "foreign keys of partitioned tables are deferrable in the table and not in its partitions, or the reverse",
        action: Action::Tell("ALTER TABLE … ALTER CONSTRAINT … with the property that you want"),
    },
    Duty {
        id: "stats-ext-views",
        releases: &[(14, 12), (15, 7), (16, 3)],
        older: Older::Sound,
        evidence: Evidence::Objects,
        upgrades: Upgrades::Minor,
        objects: Objects::Database(
            "SELECT v::text FROM unnest(ARRAY[to_regclass('pg_catalog.pg_stats_ext'), \
             to_regclass('pg_catalog.pg_stats_ext_exprs')]) AS v WHERE pg_get_viewdef(v) NOT LIKE '%pg_has_role%'",
        ),
        what: "views of the system catalog show statistics of expressions to users who may not read their columns \
               (CVE-2024-4317)",
        action: Action::Tell(
            "as a superuser run fix-CVE-2024-4317.sql, from the directory of shared files of the image, in each database, in \
             template1 and in template0",
        ),
    },
    Duty {
        id: "partition-foreign-keys",
        releases: &[(13, 17), (14, 14), (15, 9), (16, 5), (17, 1)],
        older: Older::Sound,
        evidence: Evidence::OldRelease,
        upgrades: Upgrades::All,
        // The notes have a query that compares the number of child constraints with that of partitions; this is the
        // same, which reads each catalog once.
        objects: Objects::Database(
            "WITH children AS (SELECT conparentid AS parent, count(*) AS number FROM pg_constraint \
               WHERE conparentid <> 0 GROUP BY 1), \
             partitions AS (SELECT i.inhparent AS parent, count(*) AS number FROM pg_inherits i \
               JOIN pg_partitioned_table p ON p.partrelid = i.inhparent GROUP BY 1) \
             SELECT format('%I of %s', c.conname, c.conrelid::regclass) FROM pg_constraint c \
             LEFT JOIN children k ON k.parent = c.oid \
             LEFT JOIN partitions own ON own.parent = c.conrelid \
             LEFT JOIN partitions other ON other.parent = c.confrelid \
             WHERE c.contype = 'f' AND c.conparentid = 0 AND COALESCE(k.number, 0) <> COALESCE(other.number, 0) \
               + CASE WHEN c.conrelid = c.confrelid THEN 0 ELSE COALESCE(own.number, 0) END \
               + CASE WHEN pg_partition_root(c.conrelid) = c.confrelid THEN COALESCE(other.number, 0) ELSE 0 END \
             ORDER BY 1",
        ),
        what: "foreign keys of tables that were detached from, or attached to, a partitioned table are not enforced, and rows may \
               violate them",
        action: Action::Tell(
            "ALTER TABLE … DROP CONSTRAINT, and ADD it again; if that fails, correct the rows that it names first",
        ),
    },
    Duty {
        id: "self-referential-foreign-keys",
        releases: &[(13, 21), (14, 18), (15, 13), (16, 9), (17, 5)],
        older: Older::Sound,
        evidence: Evidence::OldRelease,
        upgrades: Upgrades::All,
        objects: Objects::Database(
            "SELECT format('%I of %s', c.conname, c.conrelid::regclass) FROM pg_constraint c \
             JOIN pg_class t ON t.oid = c.conrelid WHERE c.contype = 'f' AND c.conparentid = 0 \
             AND c.conrelid = c.confrelid AND t.relkind = 'p' ORDER BY 1",
        ),
        what: "foreign keys of a partitioned table to itself are not enforced for partitions that were made later, and rows may \
               violate them",
        action: Action::Tell(
            "ALTER TABLE … DROP CONSTRAINT, and ADD it again; if that fails, correct the rows that it names first",
        ),
    },
    Duty {
        id: "json-strip-nulls",
        releases: &[(18, 3)],
        older: Older::Sound,
        evidence: Evidence::Objects,
        upgrades: Upgrades::Minor,
        objects: Objects::Database(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE oid IN (3261, 3262) AND provolatile <> 'i' ORDER BY 1",
        ),
        what: "functions that index expressions may use are marked as stable",
        action: Action::Tell(
            "as a superuser run UPDATE pg_catalog.pg_proc SET provolatile = 'i' WHERE oid IN (3261, 3262), in template1 and \
             template0 too",
        ),
    },
    Duty {
        id: "deferrable-foreign-keys",
        releases: &[(18, 4)],
        older: Older::Sound,
        evidence: Evidence::Objects,
        upgrades: Upgrades::Minor,
        // Only the triggers that check new rows are always deferrable with their constraint.
        objects: Objects::Database(
            "SELECT DISTINCT format('%I of %s', c.conname, c.conrelid::regclass) FROM pg_constraint c \
             JOIN pg_trigger t ON t.tgconstraint = c.oid AND t.tgrelid = c.conrelid \
             JOIN pg_proc p ON p.oid = t.tgfoid AND p.proname IN ('RI_FKey_check_ins', 'RI_FKey_check_upd') \
             WHERE c.contype = 'f' AND c.condeferrable AND NOT t.tgdeferrable ORDER BY 1",
        ),
        what: "deferrable foreign keys that were NOT ENFORCED once are checked at once",
        action: Action::Tell("ALTER TABLE … ALTER CONSTRAINT … NOT ENFORCED, then ENFORCED"),
    },
    Duty {
        id: "gin-row-count",
        releases: &[(18, 6)],
        older: Older::Sound,
        evidence: Evidence::Objects,
        upgrades: Upgrades::Minor,
        // No page holds more than 1,200 rows, and NaN is greater than any number.
        objects: Objects::Database(
            "SELECT DISTINCT t.oid::regclass::text FROM pg_class t JOIN pg_index i ON i.indrelid = t.oid \
             JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam AND a.amname = 'gin' \
             WHERE t.relkind IN ('r', 'm') AND t.reltuples::float8 > t.relpages * 1200.0::float8 ORDER BY 1",
        ),
        what: "a parallel build of a GIN index has left a wrong number of rows, so autovacuum may never process the table",
        action: Action::Tell("ANALYZE them"),
    },
    Duty {
        id: "pgcrypto-ciphers",
        releases: &[(14, 24), (15, 19), (16, 15), (17, 11), (18, 6)],
        older: Older::Affected,
        evidence: Evidence::OldRelease,
        upgrades: Upgrades::All,
        objects: Objects::Database("SELECT 'pgcrypto' FROM pg_extension WHERE extname = 'pgcrypto'"),
        what: "messages that pgp_sym_encrypt or pgp_pub_encrypt made with a cipher that OpenSSL refused (blowfish, twofish, cast5, \
               3des) are practically unencrypted, and are no longer decrypted (CVE-2026-14663)",
        action: Action::Tell(
            "decrypt such messages with the option ignore-cipher-failure=1, in an image whose OpenSSL refuses the same \
             ciphers, and encrypt them again",
        ),
    },
    Duty {
        id: "incremental-backups",
        releases: &[(17, 12), (18, 7)],
        older: Older::Sound,
        evidence: Evidence::OldRelease,
        upgrades: Upgrades::Minor,
        objects: Objects::Server(
            "SELECT 'summarize_wal = on' WHERE current_setting('summarize_wal', true) = 'on'",
        ),
        what: "incremental backups may be corrupt",
        action: Action::Tell("take a full backup, and base the next incremental ones on it"),
    },
];
