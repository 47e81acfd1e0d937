//! What was observed of the pod, the volume claim and the Secret of a database: plain data, for its status.

use k8s_openapi::api::core::v1::{ContainerState, Pod};
use k8s_openapi::jiff::Timestamp;
use pgops_api::instance_status::{
    CertificateStatus, CheckedSettings, InlineSettings, InstanceStatus, PasswordRotation, PasswordState,
    UNKNOWN_SETTINGS, VolumeUse,
};
use pgops_api::members::MemberStatus;
use pgops_api::{PgVersion, bounded, names};

use crate::certificates::CertificateProblem;
use crate::expansion::Expansion;
use crate::next_pod::NextPod;
use crate::settings_check::SettingsCheck;
use crate::unready::Unready;
use crate::volume_risk::VolumeLookup;

/// Longest reason of an instance, in bytes.
const MAX_REASON: usize = 1024;

/// Longest digest and longest name of a setting, in bytes.
const MAX_DIGEST: usize = 64;
/// Stands after the number of fields that differ and are not named.
pub const MORE: &str = " more";
/// Settings of which an instance may say that they wait for a restart.
const MAX_PENDING: usize = 32;
/// Settings that are named in a message; more would not be read.
const MAX_NAMED: usize = 12;

/// Pod, volume claim and Secret of a database.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Name of the pod, if it is the workload's own.
    pub pod: Option<String>,
    /// The same pod, as far as operations on it need it.
    pub server_pod: PodLookup,
    /// The servers of a database with standbys; none of another, or if they were not looked up.
    pub members: Option<Vec<MemberStatus>>,
    /// Why the pod does not exist, does not run, or is not ready.
    pub unready: Option<Unready>,
    /// The client that has just scaled the workload to 0, which was set back.
    pub scaled_down_by: Option<String>,
    /// What waits for a restart of the pod.
    pub restart: Restart,
    /// What becomes of the volume claim; none if that was not looked up.
    pub expansion: Option<Expansion>,
    pub volume: VolumeLookup,
    /// What is known of the pod that would take the place of the present one.
    pub next_pod: NextPod,
    pub auth_secret: AuthSecret,
    /// What is known of the Secret with settings; none if nothing was built.
    pub settings_check: Option<SettingsCheck>,
    /// What is wrong with the certificates that were requested; none if that was not looked up, or requests of a database without
    /// TLS are left.
    pub certificates: Option<Vec<CertificateProblem>>,
    /// What the instance reports, if it was asked and answered.
    pub instance: Option<ServerReport>,
}

/// The pod of a database's server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerPod {
    pub name: String,
    pub uid: String,
    pub resource_version: Option<String>,
    pub created: Option<Timestamp>,
    /// Since when the kubelet reports that it is ready, if it does.
    pub ready_since: Option<Timestamp>,
    pub is_being_deleted: bool,
    /// Whether it was made from an earlier template than the workload has, and another pod would differ.
    pub is_outdated: bool,
    /// Whether no node has taken it, and the workload has another template by now: the StatefulSet's controller keeps it, and
    /// what the template has been changed for, such as a node that is drained, keeps it from ever starting.
    pub is_superseded: bool,
    pub container: ServerContainer,
}

/// The container with the server, and with the instance that reports about it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ServerContainer {
    /// It runs, or has not been started yet, or the kubelet does not say.
    #[default]
    MayRun,
    /// The last one that was started has ended.
    Ended,
}

impl ServerContainer {
    /// As the kubelet reports it.
    pub fn of(pod: &Pod) -> Self {
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        let server = statuses.into_iter().flatten().find(|it| it.name == names::CONTAINER_POSTGRES);
        let (state, last) = server.map(|it| (it.state.as_ref(), it.last_state.as_ref())).unwrap_or_default();
        let runs = state.is_some_and(|state| state.running.is_some());
        let has_ended = |state: Option<&ContainerState>| state.is_some_and(|it| it.terminated.is_some());
        if !runs && (has_ended(state) || has_ended(last)) {
            return Self::Ended;
        }
        Self::MayRun
    }
}

/// The pod of a database's server, if that could be found out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum PodLookup {
    #[default]
    Unknown,
    /// The workload has none.
    Missing,
    Found(ServerPod),
}

impl PodLookup {
    /// Whether it is known that the server that has reported last does not run any more. A pod that is missing is usually
    /// about to be created again, which is not worth a word.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Found(pod) if pod.container == ServerContainer::Ended)
    }

    /// Whether it is known that there is no pod, or will be none.
    pub fn is_ending(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Missing => true,
            Self::Found(pod) => pod.is_being_deleted,
        }
    }

    /// Whether it is known that no pod is ready.
    pub fn is_unready(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Missing => true,
            Self::Found(pod) => !pod.is_ready(),
        }
    }
}

impl ServerPod {
    pub fn is_ready(&self) -> bool {
        self.ready_since.is_some() && !self.is_being_deleted
    }
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

    /// Whether this field is known to be among those that differ.
    pub fn names(&self, field: &str) -> bool {
        matches!(self, Self::Pending(named) if named.iter().any(|name| name == field))
    }

    /// Whether this field is among those that differ, or may be.
    pub fn may_name(&self, field: &str) -> bool {
        match self {
            Self::Unknown => true,
            Self::NotNeeded => false,
            Self::Pending(named) => {
                let is_it = |name: &String| name == field || name.ends_with(MORE);
                named.is_empty() || named.iter().any(is_it)
            }
        }
    }
}

/// Whether a Secret exists.
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
    /// Why no instance can be started with the Secret of the superuser.
    pub credentials_problem: Option<String>,
    pub settings_changed: bool,
    /// Why the server would not start with what is in `configSecret` now.
    pub config_secret_rejection: Option<String>,
    pub inline_settings: Option<InlineSettings>,
    pub candidate: Option<CheckedSettings>,
    pub rotation: Option<PasswordRotation>,
    /// The certificate that the server uses, if it speaks TLS.
    pub certificate: Option<CertificateStatus>,
    /// Size of the shared buffers that the server has when it is started the next time, in bytes.
    pub shared_buffers: Option<u64>,
}

impl ServerReport {
    /// What is reported to take effect when the server is started the next time.
    pub fn pending_settings(&self) -> Vec<String> {
        let inline = self.inline_settings.iter().flat_map(|inline| &inline.pending_restart);
        // Those that the server would reject do not take effect.
        let secret = self.settings_changed && self.config_secret_rejection.is_none();
        inline
            .take(MAX_NAMED)
            .map(|name| match name.as_str() {
                UNKNOWN_SETTINGS => "settings of spec.configuration".to_owned(),
                name => format!("setting {name}"),
            })
            .chain(secret.then(|| "the contents of configSecret".to_owned()))
            .collect()
    }

    /// Settings that the server would not start with: where they are, and its message.
    pub fn rejected_settings(&self) -> Option<(&'static str, &str)> {
        let secret = || self.config_secret_rejection.as_deref();
        self.rejected_inline().or_else(|| Some(("user.conf of the configSecret", secret()?)))
    }

    /// The same, apart from those of a Secret.
    pub fn rejected_inline(&self) -> Option<(&'static str, &str)> {
        let inline = self.inline_settings.as_ref().and_then(|inline| inline.rejected.as_deref());
        inline.map(|words| ("spec.configuration.inline", words))
    }
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
            credentials_problem: status.credentials_problem.map(|problem| bounded(problem, MAX_REASON, "")),
            settings_changed: status.settings_changed,
            config_secret_rejection: status
                .config_secret_rejection
                .map(|words| bounded(words, MAX_REASON, "")),
            inline_settings: status.inline_settings.map(|it| InlineSettings {
                digest: bounded(it.digest, MAX_DIGEST, ""),
                pending_restart: bounded_names(it.pending_restart),
                overridden: bounded_names(it.overridden),
                rejected: it.rejected.map(|words| bounded(words, MAX_REASON, "")),
                rejected_digest: it.rejected_digest.map(|digest| bounded(digest, MAX_DIGEST, "")),
            }),
            candidate: status.candidate.map(|it| CheckedSettings {
                digest: bounded(it.digest, MAX_DIGEST, ""),
                error: it.error.map(|words| bounded(words, MAX_REASON, "")),
            }),
            rotation: status.rotation.map(|it| PasswordRotation {
                pending: it.pending.map(|id| bounded(id, MAX_DIGEST, "")),
                applied: it.applied.map(|id| bounded(id, MAX_DIGEST, "")),
                error: it.error.map(|words| bounded(words, MAX_REASON, "")),
                setter: it.setter,
            }),
            certificate: status.certificate.map(|certificate| CertificateStatus {
                problem: certificate.problem.map(|problem| bounded(problem, MAX_REASON, "")),
                ..certificate
            }),
            shared_buffers: status.shared_buffers,
        }
    }
}

/// Names of settings, as the instance reports them.
fn bounded_names(names: Vec<String>) -> Vec<String> {
    names.into_iter().take(MAX_PENDING).map(|name| bounded(name, MAX_DIGEST, "")).collect()
}

fn text(volume: VolumeUse) -> String {
    format!("{} of {}", size(volume.used), size(volume.size))
}

/// Two digits at least, so that the status does not change with each file that is written.
pub fn size(bytes: u64) -> String {
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
    use serde_json::{Value, json};

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

    #[test]
    fn settings_that_wait_for_a_restart_are_named_unless_the_server_would_reject_them() {
        let mut report = ServerReport {
            settings_changed: true,
            inline_settings: Some(InlineSettings {
                pending_restart: vec!["max_connections".to_owned(), UNKNOWN_SETTINGS.to_owned()],
                ..InlineSettings::default()
            }),
            ..ServerReport::default()
        };
        let of_inline = ["setting max_connections", "settings of spec.configuration"];
        assert_eq!(report.pending_settings()[..2], of_inline);
        assert_eq!(report.pending_settings()[2..], ["the contents of configSecret"]);
        assert_eq!(report.rejected_settings(), None);
        report.config_secret_rejection = Some("no such value".to_owned());
        assert_eq!(report.pending_settings(), of_inline);
        assert_eq!(report.rejected_settings(), Some(("user.conf of the configSecret", "no such value")));
        report.inline_settings.as_mut().unwrap().rejected = Some("no such name".to_owned());
        assert_eq!(report.rejected_settings(), Some(("spec.configuration.inline", "no such name")));
        assert_eq!(ServerReport::default().pending_settings(), Vec::<String>::new());
    }

    #[rstest]
    #[case::named(Restart::Pending(vec!["env A".to_owned(), "resources".to_owned()]), true)]
    #[case::another(Restart::Pending(vec!["image of the instance".to_owned()]), false)]
    #[case::not_all_are_named(Restart::Pending(vec!["env A".to_owned(), "7 more".to_owned()]), true)]
    #[case::none_is_named(Restart::Pending(Vec::new()), true)]
    #[case::not_looked_up(Restart::Unknown, true)]
    #[case::none_differs(Restart::NotNeeded, false)]
    fn field_may_differ_unless_others_are_known_to(#[case] restart: Restart, #[case] expected: bool) {
        assert_eq!(restart.may_name("resources"), expected);
    }

    #[test]
    fn field_differs_only_if_it_is_named() {
        let pending = Restart::Pending(vec!["env A".to_owned(), "7 more".to_owned()]);
        assert!(pending.names("env A"));
        assert!(!pending.names("resources") && !Restart::Unknown.names("resources"));
    }

    #[rstest]
    #[case::first_start(json!({ "state": { "waiting": { "reason": "ContainerCreating" } } }), ServerContainer::MayRun)]
    #[case::running_again(
        json!({ "state": { "running": {} }, "lastState": { "terminated": { "exitCode": 1 } } }), ServerContainer::MayRun
    )]
    #[case::ended(json!({ "state": { "terminated": { "exitCode": 1 } } }), ServerContainer::Ended)]
    #[case::crash_loop(
        json!({
            "state": { "waiting": { "reason": "CrashLoopBackOff" } },
            "lastState": { "terminated": { "exitCode": 1 } },
        }),
        ServerContainer::Ended
    )]
    fn container_has_ended_until_it_is_started_again(
        #[case] states: Value,
        #[case] expected: ServerContainer,
    ) {
        let mut container = json!({
            "name": "postgres", "image": "pg", "imageID": "", "ready": false, "restartCount": 1,
        });
        container.as_object_mut().unwrap().extend(states.as_object().unwrap().clone());
        let status = json!({ "containerStatuses": [container] });
        let pod: Pod = serde_json::from_value(json!({ "metadata": {}, "status": status })).unwrap();
        assert_eq!(ServerContainer::of(&pod), expected);
        assert_eq!(ServerContainer::of(&Pod::default()), ServerContainer::MayRun);
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
