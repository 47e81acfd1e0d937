//! The rights that the preflight has read, stored next to the journal: after `pg_upgrade` there is no server to ask.

use pgops_volume::FileError;

use super::error::StepError;
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::privileges::snapshot::Privileges;
use crate::postgres::volume::work_dir::WorkDir;

const FILE: &str = "privileges.json";

/// Stores it in the work directory.
pub fn store_baseline(baseline: &Baseline, work_dir: &WorkDir) -> Result<(), FileError> {
    let path = work_dir.path().join(FILE);
    let json = serde_json::to_vec(baseline).map_err(FileError::on("write", &path))?;
    work_dir.tree().replace(&path, &json)
}

/// Reads it from the work directory. A preflight of an earlier pgops has stored none.
pub fn load_baseline(work_dir: &WorkDir) -> Result<Option<Baseline>, FileError> {
    let path = work_dir.path().join(FILE);
    let Some(json) = work_dir.tree().read_if_exists(&path)? else { return Ok(None) };
    serde_json::from_slice(&json).map(Some).map_err(FileError::on("parse", &path))
}

/// Fails if the new cluster has rights that nothing explains. To be called before the first client is let in.
pub fn ensure_no_escalation(baseline: &Baseline, after: &Privileges) -> Result<(), StepError> {
    let differences = baseline.compare(after);
    if differences.is_empty() { Ok(()) } else { Err(StepError::Escalation(differences)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::privileges::compare::Pristine;
    use crate::postgres::privileges::snapshot::{Role, ServerPrivileges};
    use pgops_volume::Volume;

    fn server(superuser: bool) -> ServerPrivileges {
        let tenant = Role { name: "tenant".into(), superuser, ..Role::default() };
        ServerPrivileges { roles: vec![tenant], ..ServerPrivileges::default() }
    }

    fn after(superuser: bool) -> Privileges {
        Privileges { server: server(superuser), ..Privileges::default() }
    }

    #[test]
    fn baseline_is_stored_and_finds_an_escalation_afterwards() {
        let root = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::new(&Volume::at(root.path()), "3f9c21aa");
        work_dir.create().unwrap();
        assert_eq!(load_baseline(&work_dir).unwrap(), None);
        let baseline = Baseline::new(server(false), Pristine::default(), 13);
        store_baseline(&baseline, &work_dir).unwrap();
        let baseline = load_baseline(&work_dir).unwrap().unwrap();
        assert!(ensure_no_escalation(&baseline, &after(false)).is_ok());
        let error = ensure_no_escalation(&baseline, &after(true)).unwrap_err();
        assert!(error.to_string().contains("role \"tenant\": SUPERUSER"), "{error}");
    }
}
