//! What an instance reports about its server on `/status`, for the provisioner. Any client that can reach the pod can read it.

use serde::{Deserialize, Serialize};

/// Path of the report, on [`INSTANCE_PORT`](crate::names::INSTANCE_PORT).
pub const STATUS_PATH: &str = "/status";

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
    /// Whether the user's settings have changed since the server was started.
    pub settings_changed: bool,
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
    fn status_is_read_as_it_was_written() {
        let status = InstanceStatus {
            server_version: Some("17.11".to_owned()),
            unready_reason: Some("starting".to_owned()),
            volume: Some(VolumeUse { used: 1, size: 2 }),
            password: PasswordState::Rejected,
            settings_changed: true,
        };
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<InstanceStatus>(&text).unwrap(), status);
    }
}
