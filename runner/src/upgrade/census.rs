//! The census of the serving databases, stored next to the journal: nothing may change before the database is stopped, and
//! the new server must have all of it.

mod changes;

use std::collections::BTreeSet;

use pgops_volume::FileError;
use serde::{Deserialize, Serialize};

use super::error::StepError;
use super::stored_digests::StoredDigests;
use crate::postgres::census::compare::{CatalogDigest, Fingerprint};
use crate::postgres::volume::work_dir::WorkDir;

pub(super) const FILE: &str = "census.json";

/// What the databases held when the preflight looked.
#[derive(Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CensusBaseline {
    /// The columns of the system catalogs that were compared, as `catalog.column`.
    pub columns: BTreeSet<String>,
    pub databases: Vec<DatabaseCensus>,
}

/// What one database held.
#[derive(Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DatabaseCensus {
    pub name: String,
    /// The digests of all catalogs, before the database was dumped.
    pub digests: Vec<CatalogDigest>,
    /// Its rows, without those of catalogs with too many to keep.
    pub rows: Vec<Fingerprint>,
    /// Rows that a restore does not reproduce, by catalog and identity: the preflight has reported them.
    #[serde(default)]
    pub not_carried: Vec<(String, String)>,
    /// The catalogs in which a restore differs.
    #[serde(default)]
    pub differing: BTreeSet<String>,
    /// A digest of the expressions that use code of roles without superuser rights: the other digests have only whether there
    /// is an expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expressions: Option<String>,
}

impl CensusBaseline {
    /// Stores it in the work directory.
    pub fn store(&self, work_dir: &WorkDir) -> Result<(), FileError> {
        let path = work_dir.path().join(FILE);
        let json = serde_json::to_vec(self).map_err(FileError::on("write", &path))?;
        work_dir.tree().replace(&path, &json)
    }

    /// Reads it from the work directory. A preflight of an earlier pgops has stored none.
    pub fn load(work_dir: &WorkDir, stored: Option<&StoredDigests>) -> Result<Option<Self>, StepError> {
        let Some(json) = StoredDigests::read(stored, work_dir, FILE)? else { return Ok(None) };
        let failed = FileError::on("parse", &work_dir.path().join(FILE));
        Ok(Some(serde_json::from_slice(&json).map_err(failed)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_volume::Volume;

    #[test]
    fn baseline_is_stored_and_read() {
        let root = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::new(&Volume::at(root.path()), "3f9c21aa");
        work_dir.create().unwrap();
        assert_eq!(CensusBaseline::load(&work_dir, None).unwrap(), None);
        let databases = vec![DatabaseCensus {
            name: "shop".into(),
            digests: vec![CatalogDigest { name: "pg_proc".into(), rows: 1, digest: "-7".into() }],
            rows: vec![Fingerprint { catalog: "pg_proc".into(), identity: "s.f()".into(), fields: -7 }],
            not_carried: vec![("pg_proc".into(), "s.f()".into())],
            differing: BTreeSet::from(["pg_proc".into()]),
            expressions: Some("7".into()),
        }];
        let baseline = CensusBaseline { columns: BTreeSet::from(["pg_proc.proname".into()]), databases };
        baseline.store(&work_dir).unwrap();
        assert_eq!(CensusBaseline::load(&work_dir, None).unwrap(), Some(baseline));
    }

    #[test]
    fn baseline_of_an_earlier_version_is_read() {
        let stored = r#"{"columns":[],"databases":[{"name":"shop","digests":[],"rows":[]}]}"#;
        let baseline: CensusBaseline = serde_json::from_str(stored).unwrap();
        let name = "shop".into();
        assert_eq!(baseline.databases, [DatabaseCensus { name, ..DatabaseCensus::default() }]);
    }
}
