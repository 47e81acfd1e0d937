//! Options of the sessions that pgops and its programs open, against what users have stored for theirs.
//!
//! `ALTER ROLE … SET`, `ALTER DATABASE … SET` and `ALTER ROLE ALL SET` hold in sessions of pgops too, and some of them
//! would make a session fail, or change what a program reads or prints. An option of the connection (`-c name=value`)
//! takes precedence over them (`guc.c`: `PGC_S_CLIENT` is above `PGC_S_DATABASE` and the like). An option that the server
//! does not know ends the connection, so each has the major version that introduced it.
//!
//! What tells where libraries are (`dynamic_library_path`, `extension_control_path`) is left as it is stored, and so is what
//! the server logs, except for what tells whose words a message has.

/// Who opens a session.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum SessionKind {
    /// pgops itself, which sets everything else in its first statement.
    Own,
    /// Statements of others that are written for the default settings: scripts of extensions, `vacuumdb`.
    Program,
    /// The programs that dump and restore definitions.
    Dump,
}

/// A setting that sessions have, whatever is stored.
struct Fixed {
    name: &'static str,
    value: &'static str,
    /// The major version that introduced it.
    since: u32,
    /// The first kind of session that has it; those after it have it too.
    from: SessionKind,
}

const fn fixed(from: SessionKind, name: &'static str, value: &'static str) -> Fixed {
    Fixed { name, value, since: 0, from }
}

const fn since(since: u32, name: &'static str, value: &'static str) -> Fixed {
    Fixed { since, ..fixed(SessionKind::Own, name, value) }
}

use SessionKind::{Dump, Own, Program};

/// All settings that are fixed. The longest text that a server accepts with a connection has 10,000 bytes.
const FIXED: &[Fixed] = &[
    // Otherwise the session has the rights of another role.
    fixed(Own, "role", "none"),
    // A library that cannot be loaded ends each connection, and one that is loaded may change everything else.
    fixed(Own, "session_preload_libraries", ""),
    fixed(Own, "local_preload_libraries", ""),
    // An error is an answer, not the end of the session.
    fixed(Own, "exit_on_error", "off"),
    fixed(Own, "statement_timeout", "0"),
    fixed(Own, "lock_timeout", "0"),
    fixed(Own, "idle_in_transaction_session_timeout", "0"),
    since(14, "idle_session_timeout", "0"),
    since(17, "transaction_timeout", "0"),
    fixed(Own, "tcp_user_timeout", "0"),
    // A deadlock is found after this time; an endless one would wait for ever.
    fixed(Own, "deadlock_timeout", "1s"),
    // Nothing could be written, or a transaction would wait until all others have ended.
    fixed(Own, "default_transaction_read_only", "off"),
    fixed(Own, "default_transaction_isolation", "read committed"),
    fixed(Own, "default_transaction_deferrable", "off"),
    // Triggers of users on DDL could reject what pgops does, and those on logins take time while clients wait.
    since(17, "event_triggers", "off"),
    fixed(Own, "session_replication_role", "origin"),
    // A rebuild of an index would fail, or hide damage by deleting it.
    fixed(Own, "temp_file_limit", "-1"),
    fixed(Own, "zero_damaged_pages", "off"),
    fixed(Own, "ignore_checksum_failure", "off"),
    // A rebuild that a killed runner has left is recognised by its statement.
    fixed(Own, "track_activities", "on"),
    // An image may have the JIT provider without its LLVM: then costly queries fail.
    fixed(Own, "jit", "off"),
    fixed(Own, "max_parallel_workers_per_gather", "0"),
    // What is shown of messages, and what follows from some, depends on their text.
    fixed(Own, "lc_messages", "C"),
    fixed(Own, "client_min_messages", "warning"),
    // A backslash before a quote would end a literal.
    fixed(Program, "standard_conforming_strings", "on"),
    // Bytes pass unchanged, as they do if the client's encoding is the database's.
    fixed(Dump, "client_encoding", "SQL_ASCII"),
    // The programs take what they read on standard error for the reason of a failure.
    fixed(Dump, "client_min_messages", "error"),
    // Logs of pg_upgrade's servers are shown in part. A message of a user's code is known by its context.
    fixed(Dump, "log_error_verbosity", "default"),
    // How values in definitions are written and read. Another style can be ambiguous, and a locale may be missing.
    fixed(Dump, "DateStyle", "ISO"),
    fixed(Dump, "IntervalStyle", "postgres"),
    fixed(Dump, "TimeZone", "GMT"),
    fixed(Dump, "lc_monetary", "C"),
    fixed(Dump, "lc_numeric", "C"),
    fixed(Dump, "lc_time", "C"),
    fixed(Dump, "extra_float_digits", "1"),
    fixed(Dump, "bytea_output", "hex"),
    fixed(Dump, "xmlbinary", "base64"),
    fixed(Dump, "xmloption", "content"),
    // `{NULL}` would be read as a text, `a = NULL` as `a IS NULL`: definitions would change.
    fixed(Dump, "array_nulls", "on"),
    fixed(Dump, "transform_null_equals", "off"),
    fixed(Dump, "quote_all_identifiers", "off"),
    // As long as one of these is on, a value of another one cannot be stored.
    fixed(Dump, "log_parser_stats", "off"),
    fixed(Dump, "log_planner_stats", "off"),
    fixed(Dump, "log_executor_stats", "off"),
    fixed(Dump, "log_statement_stats", "off"),
    fixed(Dump, "row_security", "on"),
];

/// The options of a connection to a server of `major` or newer, as `PGOPTIONS` and the startup message have them.
#[must_use]
pub fn session_options(kind: SessionKind, major: u32) -> String {
    let options = FIXED.iter().filter(|it| it.from <= kind && it.since <= major);
    let options = options.map(|it| format!("-c {}={}", it.name, it.value.replace(' ', "\\ ")));
    options.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
