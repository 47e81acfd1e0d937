//! What was observed of the pod, the volume claim and the Secret of a database: plain data, for its status.

use pgops_api::instance_status::{InstanceStatus, PasswordState, VolumeUse};
use pgops_api::{PgVersion, bounded};

use crate::expansion::Expansion;
use crate::pod_problem::PodProblem;

/// Longest reason of an instance, in bytes.
const MAX_REASON: usize = 1024;

/// Pod, volume claim and Secret of a database.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Name of the pod, if it is the workload's own.
    pub pod: Option<String>,
    /// Why the pod does not exist or does not run.
    pub problem: Option<PodProblem>,
    /// What waits for a restart of the pod.
    pub restart: Restart,
    /// What becomes of the volume claim; none if that was not looked up.
    pub expansion: Option<Expansion>,
    pub auth_secret: AuthSecret,
    /// What the instance reports, if it was asked and answered.
    pub instance: Option<ServerReport>,
}

/// Whether changes wait for a restart of the pod.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Restart {
    /// Not looked up: the previous answer stays.
    #[default]
    Unknown,
    /// The pod was made from the present template, or will be.
    NotNeeded,
    /// These fields differ; none is named if that cannot be told.
    Pending(Vec<String>),
}

impl Restart {
    /// Adds a change that waits for the restart.
    pub fn add(&mut self, change: &str) {
        match self {
            Self::Pending(fields) => fields.push(change.to_owned()),
            Self::NotNeeded | Self::Unknown => *self = Self::Pending(vec![change.to_owned()]),
        }
    }
}

/// Whether the Secret with the superuser's password exists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AuthSecret {
    /// It could not be found out.
    #[default]
    Unknown,
    Present,
    Missing,
}

/// What an instance reports, after it was checked: a pod runs code of users, which may send anything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerReport {
    pub server_version: Option<String>,
    /// Why the server does not answer.
    pub unready_reason: Option<String>,
    /// How much of the volume is in use, as text.
    pub storage: Option<String>,
    pub password: PasswordState,
    pub settings_changed: bool,
}

impl From<InstanceStatus> for ServerReport {
    fn from(status: InstanceStatus) -> Self {
        // Packages append their own version: "17.11 (Debian 17.11-1.pgdg13+1)".
        let version = status.server_version.as_deref().and_then(|text| text.split_whitespace().next());
        let version = version.and_then(|text| text.parse::<PgVersion>().ok());
        Self {
            server_version: version.map(|version| version.to_string()),
            unready_reason: status.unready_reason.map(|reason| bounded(reason, MAX_REASON, "")),
            storage: status.volume.filter(|volume| volume.size > 0).map(text),
            password: status.password,
            settings_changed: status.settings_changed,
        }
    }
}

fn text(volume: VolumeUse) -> String {
    format!("{} of {}", size(volume.used), size(volume.size))
}

/// Two digits at least, so that the status does not change with each file that is written.
fn size(bytes: u64) -> String {
    let units = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let Some((unit, shift)) = units.into_iter().find(|(_, shift)| bytes >> shift > 0) else {
        return format!("{bytes}");
    };
    let tenths = (u128::from(bytes) * 10) >> shift;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    if whole < 10 && tenth > 0 { format!("{whole}.{tenth}{unit}") } else { format!("{whole}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(312 << 20, 1 << 30, "312Mi of 1Gi")]
    #[case(1 << 29, 10 << 30, "512Mi of 10Gi")]
    #[case(3 << 29, 1 << 40, "1.5Gi of 1Ti")]
    #[case(0, 100 << 20, "0 of 100Mi")]
    #[case(u64::MAX, u64::MAX, "16777215Ti of 16777215Ti")]
    fn storage_is_shown_in_binary_units(#[case] used: u64, #[case] size: u64, #[case] expected: &str) {
        let status = InstanceStatus { volume: Some(VolumeUse { used, size }), ..InstanceStatus::default() };
        assert_eq!(ServerReport::from(status).storage.as_deref(), Some(expected));
    }

    #[rstest]
    #[case("17.11", Some("17.11"))]
    #[case("13.16 (Debian 13.16-0+deb11u1)", Some("13.16"))]
    #[case("19beta1", None)]
    #[case("<script>", None)]
    fn version_of_a_server_is_a_version(#[case] text: &str, #[case] expected: Option<&str>) {
        let status = InstanceStatus { server_version: Some(text.to_owned()), ..InstanceStatus::default() };
        assert_eq!(ServerReport::from(status).server_version.as_deref(), expected);
    }
}
