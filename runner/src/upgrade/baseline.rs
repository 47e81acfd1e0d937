//! The rights that the preflight has read, stored next to the journal: after `pg_upgrade` there is no server to ask.

use pgops_volume::FileError;

use super::error::StepError;
use super::stored_digests::StoredDigests;
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::privileges::snapshot::Privileges;
use crate::postgres::volume::work_dir::WorkDir;

pub(super) const FILE: &str = "privileges.json";

/// Stores it in the work directory.
pub fn store_baseline(baseline: &Baseline, work_dir: &WorkDir) -> Result<(), FileError> {
    let path = work_dir.path().join(FILE);
    let json = serde_json::to_vec(baseline).map_err(FileError::on("write", &path))?;
    work_dir.tree().replace(&path, &json)
}

/// Reads it from the work directory. A preflight of an earlier pgops has stored none.
pub fn load_baseline(
    work_dir: &WorkDir,
    stored: Option<&StoredDigests>,
) -> Result<Option<Baseline>, StepError> {
    let Some(json) = StoredDigests::read(stored, work_dir, FILE)? else { return Ok(None) };
    let failed = FileError::on("parse", &work_dir.path().join(FILE));
    Ok(Some(serde_json::from_slice(&json).map_err(failed)?))
}

/// Fails if the new cluster has rights that nothing explains, neither what the preflight has read nor what the old server has had
/// when it was stopped, if that is known. To be called before the first client is let in.
pub fn ensure_no_escalation(
    baseline: &Baseline,
    at_stop: Option<&Baseline>,
    after: &Privileges,
) -> Result<(), StepError> {
    let mut differences = baseline.compare(after);
    if let Some(at_stop) = at_stop
        && !differences.is_empty()
    {
        let still = at_stop.compare(after);
        differences.retain(|difference| still.contains(difference));
    }
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
        assert_eq!(load_baseline(&work_dir, None).unwrap(), None);
        let baseline = Baseline::new(server(false), Pristine::default(), 13);
        store_baseline(&baseline, &work_dir).unwrap();
        let baseline = load_baseline(&work_dir, None).unwrap().unwrap();
        assert!(ensure_no_escalation(&baseline, None, &after(false)).is_ok());
        let error = ensure_no_escalation(&baseline, None, &after(true)).unwrap_err();
        assert!(error.to_string().contains("role \"tenant\": SUPERUSER"), "{error}");
    }

    /// Clients have given the right between the last look and the stop.
    #[test]
    fn right_that_the_old_server_has_had_when_it_was_stopped_is_explained() {
        let baseline = Baseline::new(server(false), Pristine::default(), 13);
        let given = baseline.with_server(server(true));
        assert!(ensure_no_escalation(&baseline, Some(&given), &after(true)).is_ok());
        let unchanged = baseline.with_server(server(false));
        assert!(ensure_no_escalation(&baseline, Some(&unchanged), &after(true)).is_err());
    }

    /// Clients have taken the right back meanwhile: the new server does not have it either.
    #[test]
    fn right_that_only_the_preflight_has_seen_is_explained() {
        let baseline = Baseline::new(server(true), Pristine::default(), 13);
        let taken = baseline.with_server(server(false));
        assert!(ensure_no_escalation(&baseline, Some(&taken), &after(true)).is_ok());
    }
}
