//! What this instance reports on `/status`: one place that the tasks of the process write to.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::State;
use pgops_api::instance_status::{InstanceStatus, PasswordState, VolumeUse};

/// The report about the server of this pod.
pub struct StatusReport {
    /// A directory on the file system of the data.
    volume: PathBuf,
    /// What is known without measuring it.
    known: Mutex<InstanceStatus>,
}

impl StatusReport {
    pub fn new(volume: impl Into<PathBuf>) -> Arc<Self> {
        Arc::new(Self { volume: volume.into(), known: Mutex::default() })
    }

    pub fn set_server_version(&self, version: String) {
        self.known().server_version = Some(version);
    }

    /// Sets why the server does not answer, if it does not.
    pub fn set_unready_reason(&self, reason: Option<String>) {
        self.known().unready_reason = reason;
    }

    /// Sets whether the password is accepted; a change is logged.
    pub fn set_password(&self, password: PasswordState) {
        let before = std::mem::replace(&mut self.known().password, password);
        match (before, password) {
            (PasswordState::Accepted | PasswordState::Unknown, PasswordState::Rejected) => {
                tracing::warn!("the server rejects the password of the database's auth secret");
            }
            (PasswordState::Rejected, PasswordState::Accepted) => {
                tracing::info!("the server accepts the password of the database's auth secret again");
            }
            _ => {}
        }
    }

    pub fn set_settings_changed(&self, changed: bool) {
        self.known().settings_changed = changed;
    }

    /// What is known, and how much of the volume is in use now.
    pub fn current(&self) -> InstanceStatus {
        InstanceStatus { volume: self.measure(), ..self.known().clone() }
    }

    fn measure(&self) -> Option<VolumeUse> {
        let found = rustix::fs::statvfs(&self.volume).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Some(VolumeUse {
            used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
            size: bytes(found.f_blocks),
        })
    }

    fn known(&self) -> MutexGuard<'_, InstanceStatus> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers `/status`, without a query to the server: any client may ask, as often as it likes.
pub async fn respond(State(report): State<Arc<StatusReport>>) -> Json<InstanceStatus> {
    Json(report.current())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_has_what_was_set_and_measures_the_volume() {
        let directory = tempfile::tempdir().unwrap();
        let report = StatusReport::new(directory.path());
        assert_eq!(report.current().server_version, None);
        report.set_server_version("17.11".to_owned());
        report.set_password(PasswordState::Rejected);
        report.set_settings_changed(true);
        let status = report.current();
        assert_eq!(status.server_version.as_deref(), Some("17.11"));
        assert_eq!((status.password, status.settings_changed), (PasswordState::Rejected, true));
        let volume = status.volume.unwrap();
        assert!(volume.size > 0 && volume.used <= volume.size, "{volume:?}");
    }

    #[test]
    fn report_without_a_volume_has_no_size() {
        assert_eq!(StatusReport::new("/nonexistent").current().volume, None);
    }
}
