//! The checks of the system catalogs, as data.

use crate::upgrade::Weight;

/// One check of the serving database.
pub struct Check {
    /// Id of the finding.
    pub id: &'static str,
    /// What an object that is found means for the upgrade.
    pub weight: Weight,
    /// Where the query runs.
    pub scope: CheckScope,
    /// Whether it applies to this pair of major versions.
    pub applies: fn(old: u32, new: u32) -> bool,
    pub question: Question,
    /// What to do about the objects, whose names follow.
    pub remedy: &'static str,
}

/// Where a query runs.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum CheckScope {
    /// The server as a whole.
    Server,
    /// Each database.
    Database,
}

/// What a check looks for.
pub enum Question {
    /// A query with a column of text: the names of the objects that block the upgrade. A second column may have the extension
    /// that an object belongs to.
    Sql(&'static str),
    /// Stored columns of these types: a condition on `pg_type t` and its `pg_namespace n`.
    StoredColumnsOf(&'static str),
}

impl Question {
    /// The condition on the types of stored columns, if it is about these.
    pub fn stored_types(&self) -> Option<&'static str> {
        match self {
            Self::Sql(_) => None,
            Self::StoredColumnsOf(types) => Some(*types),
        }
    }
}

use CheckScope::{Database, Server};
use Question::{Sql, StoredColumnsOf};
use Weight::{Blocks, Note};

/// Whose code pgops itself would run.
pub const EVENT_TRIGGER_CODE: &str = "event-trigger-code";

/// All checks of the server. What an image has or lacks is looked up in the image, not here.
pub const CHECKS: &[Check] = &[
    Check {
        id: "prepared-transaction",
        weight: Blocks,
        scope: Server,
        applies: |_, _| true,
        question: Sql("SELECT format('%s (by %s in %s, %s old)', gid, owner, database, \
             date_trunc('second', now() - prepared)) FROM pg_prepared_xacts ORDER BY prepared"),
        remedy: "COMMIT PREPARED or ROLLBACK PREPARED first",
    },
    Check {
        id: "closed-database",
        weight: Blocks,
        scope: Server,
        applies: |_, _| true,
        question: Sql(
            "SELECT datname::text FROM pg_database WHERE NOT datallowconn AND datname <> 'template0'",
        ),
        remedy: "pg_upgrade must connect to every database; ALTER DATABASE … ALLOW_CONNECTIONS true",
    },
    Check {
        id: "invalid-database",
        weight: Blocks,
        scope: Server,
        applies: |_, _| true,
        question: Sql("SELECT datname::text FROM pg_database WHERE datconnlimit = -2"),
        remedy: "a DROP DATABASE of these was interrupted; DROP DATABASE them again",
    },
    Check {
        id: "database-name",
        weight: Blocks,
        scope: Server,
        applies: |_, _| true,
        // pg_upgrade passes names to a shell, which accepts no line break. Names are stored as bytes, without their
        // encoding: read in another one, a name that is not ASCII becomes another name.
        question: Sql("SELECT replace(replace(encode(name, 'escape'), E'\\n', '\\n'), E'\\r', '\\r') \
             FROM pg_database d, textsend(d.datname::text) AS name, encode(name, 'hex') AS hex \
             WHERE hex ~ '^(..)*0[ad]' OR hex !~ '^([0-7].)*$' AND (EXISTS (SELECT FROM pg_database o \
               WHERE (o.oid = d.oid OR o.datname IN ('postgres', 'template1')) \
               AND pg_encoding_to_char(o.encoding) NOT IN ('UTF8', 'SQL_ASCII')) \
               OR hex !~ '^([0-7].|[cd].[89ab].|e.([89ab].){2}|f.([89ab].){3})*$') ORDER BY 1"),
        remedy: "pg_upgrade loses names with line breaks, and non-ASCII names in a server whose databases \
             differ in encoding; ALTER DATABASE … RENAME TO",
    },
    Check {
        id: "open-template0",
        weight: Blocks,
        scope: Server,
        applies: |_, _| true,
        question: Sql("SELECT datname::text FROM pg_database WHERE datallowconn AND datname = 'template0'"),
        remedy: "pg_upgrade requires that template0 accepts no connections; ALTER DATABASE … ALLOW_CONNECTIONS false",
    },
    Check {
        id: "missing-template",
        weight: Blocks,
        scope: Server,
        applies: |_, _| true,
        question: Sql("SELECT name FROM unnest(ARRAY['template0', 'template1']) AS name \
             WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)"),
        remedy: "pg_upgrade connects to template1, and takes the locale from template0; if it was renamed, ALTER DATABASE … RENAME \
             TO, else CREATE DATABASE template1 TEMPLATE template0 IS_TEMPLATE true, or CREATE DATABASE template0 TEMPLATE \
             template1 IS_TEMPLATE true ALLOW_CONNECTIONS false",
    },
    Check {
        id: "template-locale",
        weight: Blocks,
        scope: Server,
        // From 16 on pg_upgrade gives the new cluster the same.
        applies: |_, new| new < 16,
        question: Sql(
            "SELECT d.datname::text FROM pg_database d, pg_database t WHERE t.datname = 'template0' \
             AND d.datname IN ('postgres', 'template1') AND (d.encoding <> t.encoding \
             OR replace(lower(replace(d.datcollate::text, '-', '')), 'posix', 'c') <> \
               replace(lower(replace(t.datcollate::text, '-', '')), 'posix', 'c') \
             OR replace(lower(replace(d.datctype::text, '-', '')), 'posix', 'c') <> \
               replace(lower(replace(t.datctype::text, '-', '')), 'posix', 'c')) ORDER BY 1",
        ),
        remedy: "before 16 pg_upgrade requires template1 and postgres to have the encoding and locale of template0; \
             recreate them (CREATE DATABASE … TEMPLATE template0), or upgrade to 16 or newer",
    },
    Check {
        id: "install-user",
        weight: Blocks,
        scope: Server,
        applies: |_, _| true,
        question: Sql(
            "SELECT rolname::text FROM pg_authid WHERE oid = 10 AND NOT (rolsuper AND rolcanlogin)",
        ),
        remedy: "pg_upgrade connects as the role that initdb created; ALTER ROLE … SUPERUSER LOGIN",
    },
    Check {
        id: "reserved-role",
        weight: Blocks,
        scope: Server,
        applies: |_, _| true,
        question: Sql("SELECT rolname::text FROM pg_authid WHERE rolname ~ '^pg_' AND oid >= 16384"),
        remedy: "names that begin with pg_ are reserved; ALTER ROLE … RENAME TO",
    },
    Check {
        id: "logical-slot",
        weight: Blocks,
        scope: Server,
        applies: |old, _| old < 17,
        question: Sql(
            "SELECT format('%s (%s in %s)', slot_name, plugin, database) FROM pg_replication_slots \
             WHERE slot_type = 'logical' AND NOT temporary ORDER BY slot_name",
        ),
        remedy: "logical replication slots do not survive an upgrade from a version before 17; drop them and \
             recreate them afterwards",
    },
    Check {
        id: "unfinished-logical-slot",
        weight: Blocks,
        scope: Server,
        applies: |old, _| old >= 17,
        // A slot in use catches up when the server shuts down: the walsender waits for its consumer.
        question: Sql("SELECT format('%s (%s)', slot_name, CASE WHEN invalidation_reason IS NOT NULL \
             THEN invalidation_reason ELSE 'unused, ' || \
             pg_size_pretty(pg_current_wal_lsn() - confirmed_flush_lsn) || ' behind' END) \
             FROM pg_replication_slots WHERE slot_type = 'logical' AND NOT temporary AND \
             (invalidation_reason IS NOT NULL OR NOT active AND confirmed_flush_lsn < pg_current_wal_lsn()) \
             ORDER BY slot_name"),
        remedy: "a logical replication slot is carried over only if it is valid and everything was consumed; let its \
             consumer catch up, or drop it",
    },
    Check {
        id: "physical-slot",
        weight: Note,
        scope: Server,
        applies: |_, _| true,
        question: Sql("SELECT slot_name::text FROM pg_replication_slots WHERE slot_type = 'physical' \
             AND NOT temporary ORDER BY slot_name"),
        remedy: "physical replication slots are not carried over; recreate them afterwards if they are needed",
    },
    Check {
        id: "md5-password",
        weight: Note,
        scope: Server,
        applies: |old, new| old < 18 && new >= 18,
        question: Sql("SELECT rolname::text FROM pg_authid WHERE rolpassword LIKE 'md5%' ORDER BY rolname"),
        remedy: "PostgreSQL 18 deprecates MD5 passwords, and a later version removes them; set these roles' passwords again",
    },
    Check {
        id: "commit-timestamps",
        weight: Note,
        scope: Server,
        applies: |_, _| true,
        // pg_upgrade has pg_resetwal -c discard them (copy_xact_xlog_xid, src/bin/pg_upgrade/pg_upgrade.c).
        question: Sql("SELECT 'track_commit_timestamp = on' FROM pg_settings \
             WHERE name = 'track_commit_timestamp' AND setting = 'on'"),
        remedy: "commit timestamps are not carried over: pg_xact_commit_timestamp() knows none of an earlier transaction, nor does a \
             resolution of conflicts by the last update; keep those that are needed, by CREATE TABLE … AS SELECT …, \
             pg_xact_commit_timestamp(xmin) FROM …",
    },
    Check {
        id: "wal-archive",
        weight: Note,
        scope: Server,
        applies: |_, _| true,
        question: Sql("SELECT format('archive_mode = %s, %s files of WAL not archived yet', m.setting, \
             (SELECT count(*) FROM pg_ls_dir('pg_wal/archive_status') AS f (name) WHERE f.name LIKE '%.ready')) \
             FROM pg_settings m WHERE m.name = 'archive_mode' AND m.setting <> 'off'"),
        remedy: "the upgraded server has another system identifier, and timeline 1: no recovery to a point in time crosses the upgrade, \
             the archive may reject its WAL, which then fills the volume, and what was not archived before is deleted with the old \
             data. Right after the upgrade run pgbackrest stanza-upgrade, or give archive_command a new prefix or server name, check \
             SELECT failed_count, last_failed_wal FROM pg_stat_archiver, and take a base backup",
    },
    Check {
        id: "subscription-before-17",
        weight: Note,
        scope: Database,
        applies: |old, _| old < 17,
        question: Sql("SELECT quote_ident(subname) FROM pg_subscription WHERE subdbid = \
             (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY subname"),
        remedy: "subscriptions from before 17 are disabled after the upgrade, without their tables; then ALTER SUBSCRIPTION … \
             ENABLE and REFRESH PUBLICATION WITH (copy_data = false)",
    },
    Check {
        id: "subscription-state",
        weight: Blocks,
        scope: Database,
        applies: |old, _| old >= 17,
        question: Sql(
            "SELECT format('%I (table %s in state %s)', s.subname, r.srrelid::regclass, r.srsubstate) \
             FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid \
             WHERE r.srsubstate NOT IN ('i', 'r') \
             UNION ALL SELECT format('%I (no replication origin)', s.subname) FROM pg_subscription s \
             JOIN pg_database d ON d.oid = s.subdbid AND d.datname = current_database() \
             WHERE NOT EXISTS (SELECT FROM pg_replication_origin o WHERE o.roname = 'pg_' || s.oid)",
        ),
        remedy: "subscriptions are carried over only if each table is ready or not started; wait for the copy, or drop and \
             recreate them",
    },
    Check {
        id: "reg-type-column",
        weight: Blocks,
        scope: Database,
        applies: |_, _| true,
        // The OIDs of relations, types and roles stay; those of everything else change.
        question: StoredColumnsOf(
            "n.nspname = 'pg_catalog' AND t.typname IN ('regcollation', 'regconfig', 'regdictionary', \
             'regnamespace', 'regoper', 'regoperator', 'regproc', 'regprocedure')",
        ),
        remedy: "columns of the reg* data types store OIDs that change; make them text (ALTER TABLE … ALTER COLUMN … \
             TYPE text), or drop them",
    },
    Check {
        id: "system-composite-column",
        weight: Blocks,
        scope: Database,
        applies: |_, _| true,
        question: StoredColumnsOf("t.typtype = 'c' AND (t.oid < 16384 OR n.nspname = 'information_schema')"),
        remedy: "columns of the row types of system tables and views cannot be carried over; drop them",
    },
    Check {
        id: "aclitem-column",
        weight: Blocks,
        scope: Database,
        applies: |old, new| old <= 15 && new >= 16,
        question: StoredColumnsOf("n.nspname = 'pg_catalog' AND t.typname = 'aclitem'"),
        remedy: "aclitem is stored differently since 16; make the columns text, or drop them",
    },
    Check {
        id: "sql-identifier-column",
        weight: Blocks,
        scope: Database,
        applies: |old, new| old <= 11 && new >= 12,
        question: StoredColumnsOf("n.nspname = 'information_schema' AND t.typname = 'sql_identifier'"),
        remedy: "sql_identifier is stored differently since 12; make the columns text, or drop them",
    },
    Check {
        id: "removed-type-column",
        weight: Blocks,
        scope: Database,
        applies: |old, new| old <= 11 && new >= 12,
        question: StoredColumnsOf(
            "n.nspname = 'pg_catalog' AND t.typname IN ('abstime', 'reltime', 'tinterval')",
        ),
        remedy: "abstime, reltime and tinterval were removed in 12; make the columns timestamptz or interval",
    },
    Check {
        id: "table-with-oids",
        weight: Blocks,
        scope: Database,
        applies: |old, new| old <= 11 && new >= 12,
        question: Sql("SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relhasoids AND n.nspname <> 'pg_catalog' ORDER BY 1"),
        remedy: "tables WITH OIDS were removed in 12; ALTER TABLE … SET WITHOUT OIDS",
    },
    Check {
        id: "encoding-conversion",
        weight: Blocks,
        scope: Database,
        applies: |old, new| old <= 13 && new >= 14,
        question: Sql(
            "SELECT format('%I.%I', n.nspname, c.conname), (SELECT e.extname::text FROM pg_depend d \
               JOIN pg_extension e ON e.oid = d.refobjid \
               WHERE d.classid = 'pg_conversion'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
             FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.oid >= 16384 ORDER BY 1",
        ),
        remedy: "the functions of encoding conversions have other parameters since 14; DROP CONVERSION, and recreate them \
             afterwards",
    },
    Check {
        id: "postfix-operator",
        weight: Blocks,
        scope: Database,
        applies: |old, new| old <= 13 && new >= 14,
        question: Sql("SELECT o.oid::regoperator::text, (SELECT e.extname::text FROM pg_depend d \
               JOIN pg_extension e ON e.oid = d.refobjid \
               WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e') \
             FROM pg_operator o WHERE o.oprright = 0 AND o.oid >= 16384 ORDER BY 1"),
        remedy: "postfix operators were removed in 14; drop them, and use a prefix operator or a function",
    },
    Check {
        id: "polymorphic-function",
        weight: Blocks,
        scope: Database,
        applies: |old, new| old <= 13 && new >= 14,
        question: Sql("WITH changed AS (SELECT oid, oid::regprocedure::text AS name FROM pg_proc \
               WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384 AND proname IN ('array_append', \
               'array_cat', 'array_prepend', 'array_remove', 'array_replace', 'array_position', 'array_positions', \
               'width_bucket') AND 'anyarray'::regtype = ANY (proargtypes::oid[])) \
             SELECT format('aggregate %s (uses %s)', a.aggfnoid::regprocedure, f.name), (SELECT e.extname::text \
               FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid \
               WHERE d.classid = 'pg_proc'::regclass AND d.objid = a.aggfnoid::oid AND d.deptype = 'e') \
             FROM pg_aggregate a JOIN changed f ON f.oid IN (a.aggtransfn::oid, a.aggfinalfn::oid) \
             WHERE a.aggfnoid::oid >= 16384 AND a.aggtranstype IN ('anyarray'::regtype, 'anyelement'::regtype) \
             UNION ALL SELECT format('operator %s (uses %s)', o.oid::regoperator, f.name), (SELECT e.extname::text \
               FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid \
               WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e') \
             FROM pg_operator o JOIN changed f ON f.oid = o.oprcode::oid \
             WHERE o.oid >= 16384 AND ('anyarray'::regtype IN (o.oprleft, o.oprright) \
               OR 'anyelement'::regtype IN (o.oprleft, o.oprright)) ORDER BY 1"),
        remedy: "these array functions take anycompatible types since 14; drop the objects, and recreate them \
             afterwards with anycompatiblearray and anycompatible",
    },
    Check {
        id: "not-null-inheritance",
        weight: Blocks,
        scope: Database,
        // Only 18 has it as a rule, but the restore into earlier versions fails as well.
        applies: |old, _| old < 18,
        question: Sql("SELECT format('%I.%I.%I', n.nspname, c.relname, child.attname) FROM pg_inherits i \
             JOIN pg_attribute parent ON parent.attrelid = i.inhparent AND parent.attnum > 0 \
             JOIN pg_attribute child ON child.attrelid = i.inhrelid AND child.attname = parent.attname \
             JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE parent.attnotnull AND NOT child.attnotnull AND NOT parent.attisdropped ORDER BY 1"),
        remedy: "a child's column must be NOT NULL where its parent's is; ALTER TABLE … ALTER COLUMN … SET \
             NOT NULL",
    },
    Check {
        id: "citus-not-prepared",
        weight: Blocks,
        scope: Database,
        applies: |_, _| true,
        // https://github.com/citusdata/citus src/backend/distributed/sql/udfs/citus_prepare_pg_upgrade: it copies the metadata
        // from pg_catalog, whose rows pg_upgrade leaves out (get_rel_infos), into tables of public; a later
        // citus_finish_pg_upgrade() moves them back.
        question: Sql("SELECT format('citus %s', extversion) FROM pg_extension WHERE extname = 'citus' \
             AND to_regclass('public.pg_dist_partition') IS NULL"),
        remedy: "pg_upgrade does not carry the metadata of Citus, which is in pg_catalog: run SELECT citus_prepare_pg_upgrade() \
             on every node first, upgrade with the same version of Citus in both images, and run SELECT \
             citus_finish_pg_upgrade() afterwards",
    },
    Check {
        id: "schema-name",
        weight: Blocks,
        scope: Database,
        applies: |_, _| true,
        // get_rel_infos() of pg_upgrade leaves this schema out, in which its own functions were before 9.5.
        question: Sql("SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = 'binary_upgrade' AND c.relkind IN ('r', 'm', 'S') ORDER BY 1"),
        remedy: "pg_upgrade creates relations of the schema binary_upgrade without their rows; ALTER SCHEMA … RENAME TO",
    },
    Check {
        id: "invalid-index",
        weight: Note,
        scope: Database,
        applies: |_, _| true,
        question: Sql(
            "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relpersistence <> 't' \
             AND c.relnamespace <> 'pg_toast'::regnamespace ORDER BY 1",
        ),
        remedy: "invalid indexes, left by CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY, are not carried over; REINDEX them if \
             they are wanted",
    },
    Check {
        id: "event-trigger",
        weight: Note,
        scope: Database,
        // From 17 on sessions can do without event triggers, and those of pgops do.
        applies: |_, new| new < 17,
        question: Sql("SELECT format('%I (%s)', t.evtname, t.evtevent) FROM pg_event_trigger t \
             WHERE t.evtenabled IN ('O', 'A') AND (t.evttags IS NULL OR t.evttags && ARRAY['ALTER COLLATION', \
               'ALTER EXTENSION', 'CREATE EXTENSION', 'CREATE FUNCTION', 'DROP FUNCTION', 'DROP INDEX']) \
             AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass \
               AND d.objid = t.oid AND d.deptype = 'e') ORDER BY 1"),
        remedy: "before 17 event triggers are called for the DDL of pgops too: one that rejects it leaves extensions without \
             their update, or indexes unchecked; if these may, ALTER EVENT TRIGGER … DISABLE until the upgrade has ended",
    },
    Check {
        id: EVENT_TRIGGER_CODE,
        weight: Blocks,
        scope: Database,
        applies: |_, new| new < 17,
        // Whatever its tags are: the script of an extension has statements of all kinds.
        question: Sql("SELECT format('%I (calls %s of \"%s\")', t.evtname, p.oid::regprocedure, o.rolname) \
             FROM pg_event_trigger t JOIN pg_proc p ON p.oid = t.evtfoid JOIN pg_authid o ON o.oid = p.proowner \
             WHERE t.evtenabled IN ('O', 'A') AND NOT o.rolsuper ORDER BY 1"),
        remedy: "before 17 the DDL of pgops calls event triggers with the superuser's rights, and the owners of the functions of \
             these are not superusers; let a superuser review each and take it over (ALTER FUNCTION … OWNER TO), or ALTER EVENT \
             TRIGGER … DISABLE until the upgrade has ended",
    },
    Check {
        id: "large-objects",
        weight: Note,
        scope: Database,
        applies: |_, _| true,
        question: Sql("SELECT count(*)::text FROM pg_largeobject_metadata HAVING count(*) > 100000"),
        remedy: "this many large objects make the outage longer, which its estimate includes if they were rehearsed; delete those \
             that no row refers to (vacuumlo)",
    },
];
