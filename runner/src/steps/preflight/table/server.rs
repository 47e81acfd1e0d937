//! The checks of the server as a whole.

use crate::steps::preflight::check::Check;
use crate::steps::preflight::check::CheckScope::Server;
use crate::steps::preflight::check::Question::Sql;
use crate::upgrade::Weight::{Blocks, Note};

/// What an image has or lacks is looked up in the image, not here.
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
        id: "role-name",
        weight: Blocks,
        scope: Server,
        applies: |_, _| true,
        // pg_dumpall reads roles in this database, and sends it their names again (dumpUserConfig, src/bin/pg_dump/pg_dumpall.c). A
        // database with the encoding SQL_ASCII accepts any bytes as a name.
        question: Sql("SELECT encode(name, 'escape') FROM pg_authid r, textsend(r.rolname::text) AS name \
             WHERE getdatabaseencoding() = 'UTF8' \
             AND encode(name, 'hex') !~ '^([0-7].|[cd].[89ab].|e.([89ab].){2}|f.([89ab].){3})*$' ORDER BY 1"),
        remedy: "pg_upgrade cannot dump roles whose names are not valid UTF-8 (their bytes follow); ALTER ROLE … RENAME TO, in a \
             database with the encoding in which the name was given",
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
];
