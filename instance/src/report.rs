//! What this instance reports on `/status`: one place that the tasks of the process write to.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::State;
use pgops_api::instance_status::{
    CertificateStatus, CheckedSettings, InlineSettings, InstanceStatus, PasswordRotation, PasswordState,
    VolumeUse,
};

/// What the problem of a clone begins with.
const NOT_CLONED: &str = "the standby cannot follow its primary, and is not cloned again: ";

/// The report about the server of this pod.
pub struct StatusReport {
    /// A directory on the file system of the data.
    volume: PathBuf,
    /// What is known without measuring it.
    known: Mutex<InstanceStatus>,
    /// Why a standby that cannot follow its primary is not cloned again.
    clone_problem: Mutex<Option<String>>,
}

impl StatusReport {
    pub fn new(volume: impl Into<PathBuf>) -> Arc<Self> {
        Arc::new(Self { volume: volume.into(), known: Mutex::default(), clone_problem: Mutex::default() })
    }

    pub fn set_server_version(&self, version: String) {
        self.known().server_version = Some(version);
    }

    /// Sets why the server does not answer, if it does not.
    pub fn set_unready_reason(&self, reason: Option<String>) {
        self.known().unready_reason = reason;
    }

    /// Sets why a standby that cannot follow its primary is not cloned again; what is new is logged.
    pub fn set_clone_problem(&self, problem: Option<String>) {
        let mut known = self.clone_problem.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = problem.as_ref().filter(|problem| known.as_ref() != Some(*problem)) {
            tracing::warn!("{NOT_CLONED}{problem}");
        }
        *known = problem;
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

    /// Sets why no instance could be started with the mounted Secret, if none could; a change is logged.
    pub fn set_credentials_problem(&self, problem: Option<String>) {
        let before = std::mem::replace(&mut self.known().credentials_problem, problem.clone());
        if let Some(problem) = problem.filter(|problem| before.as_ref() != Some(problem)) {
            tracing::warn!(
                "the server could not be started again with the database's auth secret: {problem}"
            );
        }
    }

    pub fn set_settings_changed(&self, changed: bool) {
        self.known().settings_changed = changed;
    }

    /// Sets why the server would not start with what is in the `configSecret` now, if it would not; a change is logged.
    pub fn set_config_secret_rejection(&self, words: Option<String>) {
        let before = std::mem::replace(&mut self.known().config_secret_rejection, words.clone());
        match words {
            Some(words) if before.as_ref() != Some(&words) => {
                tracing::warn!("the server would not start with the contents of the configSecret: {words}");
            }
            None if before.is_some() => {
                tracing::info!("the server would start with the contents of the configSecret again");
            }
            _ => {}
        }
    }

    /// Sets what became of the settings that are in the `Postgres` itself.
    pub fn set_inline_settings(&self, settings: InlineSettings) {
        self.known().inline_settings = Some(settings);
    }

    /// The server still uses earlier ones, since it would reject those with this digest that came after them.
    pub fn set_rejected_settings(&self, digest: String, words: String) {
        let mut known = self.known();
        let settings = known.inline_settings.get_or_insert_default();
        settings.rejected = Some(words);
        settings.rejected_digest = Some(digest);
    }

    /// Sets whether the server accepts the settings that are to be checked, if there are any.
    pub fn set_candidate(&self, checked: Option<CheckedSettings>) {
        self.known().candidate = checked;
    }

    /// Sets how far a change of the superuser's password is.
    pub fn set_rotation(&self, rotation: PasswordRotation) {
        self.known().rotation = Some(rotation);
    }

    /// Sets what the server does with its certificate.
    pub fn set_certificate(&self, certificate: CertificateStatus) {
        self.known().certificate = Some(certificate);
    }

    /// Sets the size of the shared buffers that the server has when it is started the next time.
    pub fn set_shared_buffers(&self, bytes: Option<u64>) {
        self.known().shared_buffers = bytes;
    }

    /// What is known, and how much of the volume is in use now.
    pub fn current(&self) -> InstanceStatus {
        let known = self.known().clone();
        let problem = self.clone_problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unready_reason = match (known.unready_reason, problem) {
            (Some(reason), Some(problem)) => Some(format!("{reason}; {NOT_CLONED}{problem}")),
            (reason, _) => reason,
        };
        InstanceStatus { volume: self.measure(), unready_reason, ..known }
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
    fn server_that_is_not_ready_reports_why_it_is_not_cloned_again() {
        let report = StatusReport::new("/nonexistent");
        report.set_clone_problem(Some("no space".to_owned()));
        assert_eq!(report.current().unready_reason, None);
        report.set_unready_reason(Some("the standby does not stream".to_owned()));
        let reason = report.current().unready_reason.unwrap();
        assert!(reason.starts_with("the standby does not stream; "), "{reason}");
        assert!(reason.ends_with("is not cloned again: no space"), "{reason}");
        report.set_clone_problem(None);
        assert_eq!(report.current().unready_reason.as_deref(), Some("the standby does not stream"));
    }

    #[test]
    fn report_says_which_settings_were_rejected_until_others_are_read() {
        let report = StatusReport::new("/nonexistent");
        let read = |text: &str| InlineSettings { digest: text.to_owned(), ..InlineSettings::default() };
        report.set_inline_settings(read("first"));
        report.set_rejected_settings("second".to_owned(), "no such value".to_owned());
        let settings = report.current().inline_settings.unwrap();
        assert_eq!(settings.digest, "first", "the server still uses them");
        assert_eq!(settings.rejected_digest.as_deref(), Some("second"));
        assert_eq!(settings.rejected.as_deref(), Some("no such value"));
        report.set_inline_settings(read("third"));
        assert_eq!(report.current().inline_settings, Some(read("third")));
    }

    #[test]
    fn report_without_a_volume_has_no_size() {
        assert_eq!(StatusReport::new("/nonexistent").current().volume, None);
    }
}
