//! `PostgreSQL`'s programs, its servers and their data. Each module uses only those above it:
//!
//! - [`volume`] is about the files, [`cluster_shape`] about what two clusters must have in common, [`server_settings`] and
//!   [`preloaded`] about what the runner's own servers take over, [`redact`] about what is shown of errors;
//! - [`program`] has the programs of an installation, [`client`] the superuser's sessions;
//! - [`proxy`] leads programs to a server without the password that it requires;
//! - [`server`] has the servers that the runner itself starts, recovers or stops;
//! - [`extension`] says what helps if the target rejects objects of an extension;
//! - [`references`] finds what definitions name outside the database, [`meaning`] what they mean to another version, and
//!   [`answers`] asks two servers what their images make of it;
//! - [`collation`] finds and repairs what depends on rules of text and time that the upgrade changes, [`duties`] knows what release
//!   notes recommend, [`statistics`] says what is analyzed, [`table_statistics`] what the planner knows;
//! - [`createrole`] has the rights of roles that 16 reduces;
//! - [`restore_code`] and [`privileges`] find code of users that a restore runs, and rights that it adds;
//! - [`census`] compares what the system catalogs of two servers hold;
//! - [`archive`] reads dumps, and hides the passwords in them;
//! - [`pg_upgrade`] runs `pg_upgrade`, [`schema_rehearsal`] tries its dump and restore beforehand.

pub mod answers;
pub mod archive;
pub mod census;
pub mod client;
pub mod cluster_shape;
pub mod collation;
pub mod createrole;
pub mod duties;
pub mod extension;
pub mod meaning;
pub mod pg_upgrade;
pub mod preloaded;
pub mod privileges;
pub mod program;
pub mod proxy;
pub mod redact;
pub mod references;
pub mod restore_code;
pub mod schema_rehearsal;
pub mod server;
pub mod server_settings;
pub mod statistics;
pub mod table_statistics;
pub mod volume;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The server converts a query, comments too, from UTF-8 to the encoding of the database, which fails for
    /// characters that this encoding does not have.
    #[test]
    fn sql_files_are_ascii_and_begin_with_a_comment() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/postgres/sql");
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let sql = std::fs::read_to_string(&path).unwrap();
            assert!(sql.is_ascii(), "{}", path.display());
            assert!(sql.starts_with("-- "), "{}", path.display());
            assert!(sql.contains("Run by "), "{}", path.display());
        }
    }
}
