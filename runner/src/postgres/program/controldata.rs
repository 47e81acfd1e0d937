//! What `pg_controldata` reports about a data directory.

use std::collections::BTreeMap;
use std::path::Path;

use super::command::CommandError;
use super::programs::Programs;

/// The output of `pg_controldata`, by label.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ControlData(BTreeMap<String, String>);

/// State of a server that was stopped cleanly as a primary.
pub const SHUT_DOWN: &str = "shut down";

impl ControlData {
    /// Runs `pg_controldata` on `pgdata`. The caller holds the interlock.
    pub async fn read(programs: &Programs, pgdata: &Path) -> Result<Self, CommandError> {
        Ok(Self::parse(&programs.program("pg_controldata").arg("-D").path(pgdata).output().await?))
    }

    fn parse(text: &str) -> Self {
        let pair = |line: &str| {
            let (label, value) = line.split_once(':')?;
            Some((label.trim().to_owned(), value.trim().to_owned()))
        };
        Self(text.lines().filter_map(pair).collect())
    }

    /// `Database cluster state`, such as [`SHUT_DOWN`] or `in production`.
    #[must_use]
    pub fn state(&self) -> &str {
        self.get("Database cluster state")
    }

    fn catalog_version(&self) -> &str {
        self.get("Catalog version number")
    }

    /// Name of the directory that this cluster, of that major version, has in each tablespace.
    #[must_use]
    pub fn tablespace_directory(&self, major: u32) -> String {
        format!("PG_{major}_{}", self.catalog_version())
    }

    /// Whether `track_commit_timestamp` is on.
    #[must_use]
    pub fn keeps_commit_timestamps(&self) -> bool {
        self.get("track_commit_timestamp setting") == "on"
    }

    /// `Latest checkpoint location`.
    #[must_use]
    pub fn checkpoint(&self) -> &str {
        self.get("Latest checkpoint location")
    }

    /// `Latest checkpoint's NextXID`: the transaction that would write next.
    #[must_use]
    pub fn next_transaction(&self) -> &str {
        self.get("Latest checkpoint's NextXID")
    }

    /// Whether no transaction has written since `next_transaction` was the next one. If the server was not shut down
    /// cleanly, later ones may have.
    #[must_use]
    pub fn is_unwritten_since(&self, next_transaction: &str) -> bool {
        self.state() == SHUT_DOWN && self.next_transaction() == next_transaction
    }

    /// Whether no server has run on the data since it was shut down at `checkpoint`: a clean shutdown writes another
    /// checkpoint, and any other end leaves another state.
    #[must_use]
    pub fn rests_at(&self, checkpoint: &str) -> bool {
        self.state() == SHUT_DOWN && self.checkpoint() == checkpoint
    }

    fn get(&self, label: &str) -> &str {
        self.0.get(label).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_data_has_state_and_catalog_version() {
        let data = ControlData::parse(
            "pg_control version number:            1300\n\
             Catalog version number:               202007201\n\
             Database cluster state:               shut down\n\
             Latest checkpoint location:           0/5A3F2E8\n",
        );
        assert_eq!(data.state(), SHUT_DOWN);
        assert_eq!(data.tablespace_directory(13), "PG_13_202007201");
        assert_eq!(data.checkpoint(), "0/5A3F2E8");
    }

    #[test]
    fn control_data_shows_whether_a_server_has_run() {
        let data = |state, checkpoint| {
            let text = "Database cluster state: STATE\nLatest checkpoint location: AT";
            ControlData::parse(&text.replace("STATE", state).replace("AT", checkpoint))
        };
        assert!(data("shut down", "0/5A3F2E8").rests_at("0/5A3F2E8"));
        assert!(!data("shut down", "0/5A3F360").rests_at("0/5A3F2E8"));
        assert!(!data("in production", "0/5A3F2E8").rests_at("0/5A3F2E8"));
    }

    #[test]
    fn control_data_shows_whether_a_transaction_has_written() {
        let data = |state, next| {
            let text = "Database cluster state: STATE\nLatest checkpoint's NextXID:          0:NEXT";
            ControlData::parse(&text.replace("STATE", state).replace("NEXT", next))
        };
        assert!(data("shut down", "751").is_unwritten_since("0:751"));
        assert!(!data("shut down", "752").is_unwritten_since("0:751"));
        assert!(!data("in production", "751").is_unwritten_since("0:751"));
    }

    #[test]
    fn control_data_is_empty_for_missing_lines() {
        assert_eq!(ControlData::parse("garbage").state(), "");
    }
}
