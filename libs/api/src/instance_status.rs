//! What an instance reports about its server on `/status`, for the provisioner. Any client that can reach the pod can read it.

use serde::{Deserialize, Serialize};

use crate::settings::digest;

/// Path of the report, on [`INSTANCE_PORT`](crate::names::INSTANCE_PORT).
pub const STATUS_PATH: &str = "/status";

/// Stands for the names of settings that wait for a restart, if the server has not told them.
pub const UNKNOWN_SETTINGS: &str = "unknown";

/// What an instance reports.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InstanceStatus {
    /// The version that the server reported last, such as `17.11 (Debian 17.11-1.pgdg13+1)`.
    pub server_version: Option<String>,
    /// Why the server does not answer queries; none if it does.
    pub unready_reason: Option<String>,
    /// The file system of the data.
    pub volume: Option<VolumeUse>,
    /// Whether the server accepts the password of the mounted Secret.
    pub password: PasswordState,
    /// Why no instance can be started with what the mounted Secret has now; none if one can.
    pub credentials_problem: Option<String>,
    /// Whether the user's settings have changed since the server was started.
    pub settings_changed: bool,
    /// Why the server would not start with what is in `configSecret` now, as it reports it; none if it would.
    pub config_secret_rejection: Option<String>,
    /// What became of the settings that are in the `Postgres` itself.
    pub inline_settings: Option<InlineSettings>,
    /// Whether the server accepts the settings that are to be checked, if there are any.
    pub candidate: Option<CheckedSettings>,
    /// What became of the password that the server is to get.
    pub rotation: Option<PasswordRotation>,
    /// The certificate that the server uses; none if it does not speak TLS.
    pub certificate: Option<CertificateStatus>,
    /// Size of the shared buffers that the server has when it is started the next time, in bytes.
    pub shared_buffers: Option<u64>,
}

/// How far a change of the superuser's password is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PasswordRotation {
    /// Identifies the password that the mounted Secret has for the server, if it has one.
    pub pending: Option<String>,
    /// Identifies the password that the server has got last.
    pub applied: Option<String>,
    /// Why the server has not got the pending one.
    pub error: Option<String>,
    /// Which server sets it, found out when there is one to be set.
    pub setter: PasswordSetter,
}

/// The server that sets a new password.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum PasswordSetter {
    /// This one is a standby, and gets the password with everything else from its primary.
    Primary,
    /// The one that reports.
    #[default]
    #[serde(other)]
    ThisServer,
}

/// The settings that are in the `Postgres` itself, which the server reads when they change.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InlineSettings {
    /// [Digest](crate::settings::digest) of those that the server has read.
    pub digest: String,
    /// Names of settings that take effect when the server is restarted.
    pub pending_restart: Vec<String>,
    /// Names of settings that others take precedence over: those that pgops makes itself, or `ALTER SYSTEM`.
    pub overridden: Vec<String>,
    /// Why later ones were not read, as the server reports it.
    pub rejected: Option<String>,
    /// Digest of those that the server would reject; none of an instance that does not say.
    pub rejected_digest: Option<String>,
}

impl InlineSettings {
    /// Why the server would reject these, if they are what it has rejected.
    #[must_use]
    pub fn rejection_of(&self, text: &str) -> Option<&str> {
        let is_same = self.rejected_digest.as_deref() == Some(digest(text).as_str());
        self.rejected.as_deref().filter(|_| is_same)
    }
}

/// Settings that the server was asked about.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CheckedSettings {
    /// Their [digest].
    pub digest: String,
    /// Why the server would not start with them, as it reports it; none if it would.
    pub error: Option<String>,
}

/// The certificate of a server.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Of the certificate that the server uses, if it uses one.
    pub validity: Option<CertificateValidity>,
    /// Why the server does not use what is mounted now.
    pub problem: Option<String>,
}

/// The time in which a certificate is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateValidity {
    /// Its begin.
    pub not_before: i64,
    /// Its end.
    pub not_after: i64,
}

/// How much of a file system is in use, in bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct VolumeUse {
    /// Bytes in use, by any user.
    pub used: u64,
    /// Bytes in all.
    pub size: u64,
}

/// Whether a server accepts the password of its Secret.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum PasswordState {
    /// The server accepts it.
    Accepted,
    /// The server rejects it: it was changed in only one of the two places.
    Rejected,
    /// Not tried yet, or the server did not answer.
    #[default]
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn status_of_another_version_of_the_instance_is_readable() {
        let status = json!({ "serverVersion": "17.11", "password": "Expired", "replicas": 3 });
        let status: InstanceStatus = serde_json::from_value(status).unwrap();
        let expected =
            InstanceStatus { server_version: Some("17.11".to_owned()), ..InstanceStatus::default() };
        assert_eq!(status, expected);
    }

    #[test]
    fn rejection_is_that_of_one_text() {
        let mut settings =
            InlineSettings { rejected: Some("no such value".to_owned()), ..InlineSettings::default() };
        assert_eq!(
            settings.rejection_of("work_mem = lots"),
            None,
            "an earlier release does not say of which"
        );
        settings.rejected_digest = Some(digest("work_mem = lots"));
        assert_eq!(settings.rejection_of("work_mem = lots"), Some("no such value"));
        assert_eq!(settings.rejection_of("work_mem = '8MB'"), None);
    }

    #[test]
    fn status_is_read_as_it_was_written() {
        let status = InstanceStatus {
            server_version: Some("17.11".to_owned()),
            unready_reason: Some("starting".to_owned()),
            volume: Some(VolumeUse { used: 1, size: 2 }),
            password: PasswordState::Rejected,
            credentials_problem: Some("the password is empty".to_owned()),
            settings_changed: true,
            config_secret_rejection: Some("no such value".to_owned()),
            inline_settings: Some(InlineSettings { digest: "a".to_owned(), ..InlineSettings::default() }),
            candidate: Some(CheckedSettings::default()),
            rotation: Some(PasswordRotation::default()),
            certificate: Some(CertificateStatus {
                validity: Some(CertificateValidity { not_before: 1, not_after: 2 }),
                problem: Some("the key does not belong to it".to_owned()),
            }),
            shared_buffers: Some(1 << 27),
        };
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<InstanceStatus>(&text).unwrap(), status);
    }
}
