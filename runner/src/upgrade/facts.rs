//! What the preflight found out while the database served, stored next to the journal: a runner that is restarted during
//! the outage has no server to query.

use pgops_api::plan::TransferMode;
use pgops_volume::FileError;
use serde::{Deserialize, Serialize};

use crate::digest::digest;
use crate::postgres::cluster_shape::ClusterShape;
use crate::postgres::server_settings::ServerSettings;
use crate::postgres::volume::work_dir::WorkDir;

/// What the later steps need to know of the database.
///
/// The serialised names are those of v0.1.0: a newer runner reads the facts of an older one, and the reverse. A field that
/// v0.1.0 did not have is left out at its default, so that the digest of an older runner's facts stays the same.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Facts {
    /// What the new cluster must have too.
    pub shape: ClusterShape,
    pub mode: TransferMode,
    /// Databases that accept connections.
    pub databases: Vec<String>,
    /// Settings of `ALTER ROLE ALL`, by name: `pg_dumpall` does not dump them.
    pub settings_for_all: Vec<(String, String)>,
    /// Whether the dump must leave out the column option [`crate::postgres::program::pg_dump::COLUMN_OPTION`].
    pub drop_column_option: bool,
    /// Relations of all databases.
    pub relations: u64,
    /// Relations of the largest database.
    pub largest_database: u64,
    /// Bytes of the data directory.
    pub bytes: u64,
    /// What the private servers take over from the database's own settings.
    #[serde(default, skip_serializing_if = "ServerSettings::is_empty")]
    pub servers: ServerSettings,
    /// Whether `pg_upgrade` must not carry statistics: it would run code of users as superuser.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_statistics: bool,
    /// What the preflight reported to users, a line each: the report repeats it.
    #[serde(default, rename = "said")]
    pub lines: Vec<String>,
}

pub(super) const FILE: &str = "facts.json";

impl Facts {
    /// Reads them from the work directory, if the preflight has stored them.
    pub fn load(work_dir: &WorkDir) -> Result<Option<Self>, FileError> {
        let path = work_dir.path().join(FILE);
        let Some(json) = work_dir.tree().read_text_if_exists(&path)? else { return Ok(None) };
        serde_json::from_str(&json).map(Some).map_err(FileError::on("parse", &path))
    }

    /// Stores them in the work directory.
    pub fn store(&self, work_dir: &WorkDir) -> Result<(), FileError> {
        let path = work_dir.path().join(FILE);
        let json = serde_json::to_vec_pretty(self).map_err(FileError::on("write", &path))?;
        work_dir.tree().replace(&path, &json)
    }

    /// A digest of all but the lines, which later steps add to.
    #[must_use]
    pub fn digest(&self) -> String {
        let facts = Self { lines: Vec::new(), ..self.clone() };
        // Plain data can always be written.
        digest(&serde_json::to_vec(&facts).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::cluster_shape::LocaleProvider;
    use crate::postgres::server_settings::Capacity;
    use pgops_volume::Volume;
    use std::fs;

    /// Written by v0.1.0: an upgrade that was interrupted then is continued now.
    const V0_1_0: &str = include_str!("fixtures/facts-v0.1.0.json");

    fn facts() -> Facts {
        Facts {
            shape: ClusterShape {
                install_user: "postgres".into(),
                encoding: "UTF8".into(),
                collate: "de_DE.UTF-8".into(),
                ctype: "de_DE.UTF-8".into(),
                lc_others: ["C.UTF-8", "de_DE.UTF-8", "C", "POSIX"].map(Into::into),
                provider: LocaleProvider::Libc,
                wal_segment_bytes: 16 << 20,
                checksums: true,
            },
            mode: TransferMode::CopyFileRange,
            databases: vec!["postgres".into(), "template1".into(), "shop".into()],
            settings_for_all: vec![("work_mem".into(), "64MB".into())],
            drop_column_option: true,
            relations: 1234,
            largest_database: 1000,
            bytes: 60_817_408,
            servers: ServerSettings::default(),
            without_statistics: false,
            lines: vec!["3 databases with 1234 relations".into(), "[physical-slot] note: a".into()],
        }
    }

    #[test]
    fn facts_of_v0_1_0_are_read() {
        assert_eq!(serde_json::from_str::<Facts>(V0_1_0).unwrap(), facts());
    }

    #[test]
    fn facts_are_written_as_v0_1_0_wrote_them() {
        let root = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::new(&Volume::at(root.path()), "3f9c21aa");
        work_dir.create().unwrap();
        facts().store(&work_dir).unwrap();
        assert_eq!(fs::read_to_string(work_dir.path().join(FILE)).unwrap(), V0_1_0);
        assert_eq!(Facts::load(&work_dir).unwrap(), Some(facts()));
    }

    #[test]
    fn digest_of_facts_depends_on_all_but_the_lines_and_on_no_release() {
        let digest = facts().digest();
        assert_eq!(digest, "6eb68557c54037b3e005078a691adf7fb731873dc284171b11c4b69a4f39903f");
        assert_eq!(Facts { lines: Vec::new(), ..facts() }.digest(), digest);
        assert_ne!(Facts { databases: Vec::new(), ..facts() }.digest(), digest);
        assert_ne!(Facts { without_statistics: true, ..facts() }.digest(), digest);
    }

    #[test]
    fn facts_keep_what_the_private_servers_take_over() {
        let servers = ServerSettings {
            capacity: Capacity { replication_slots: 200, ..Capacity::default() },
            old_preload: vec!["citus".into()],
            new_preload: vec!["citus".into(), "pgaudit".into()],
            new_settings: vec![("dynamic_library_path".into(), "$libdir:/opt/lib".into())],
        };
        let facts = Facts { servers, without_statistics: true, ..facts() };
        let json = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&json).unwrap(), facts);
    }

    #[test]
    fn facts_of_other_locale_providers_are_read() {
        let with = |provider: &str| V0_1_0.replace("\"Libc\"", provider);
        let icu = with(r#"{"Icu":{"locale":"de","rules":null}}"#);
        let provider = serde_json::from_str::<Facts>(&icu).unwrap().shape.provider;
        assert_eq!(provider, LocaleProvider::Icu { locale: "de".into(), rules: None });
        let builtin = with(r#"{"Builtin":{"locale":"C.UTF-8"}}"#);
        let provider = serde_json::from_str::<Facts>(&builtin).unwrap().shape.provider;
        assert_eq!(provider, LocaleProvider::Builtin { locale: "C.UTF-8".into() });
    }
}
