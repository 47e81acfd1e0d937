//! The conditions of a database.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use pgops_api::condition;
use pgops_api::instance_status::PasswordState;
use pgops_api::postgres::{
    CONDITION_AUTH_SECRET_MISSING, CONDITION_CERTIFICATES_READY, CONDITION_PROVISIONED, CONDITION_READY,
    CONDITION_RESTART_BLOCKED, StorageType,
};
use pgops_api::{Condition, Postgres, bounded, layout, names};

use super::certificates::{self, Expiry, Readiness};
use super::observed::{Observed, Servers};
use super::settings::{self, Judgement, Told};
use crate::condition_types::{
    CONDITION_ACCEPTING, CONDITION_CERTIFICATE_EXPIRING, CONDITION_DEGRADED, CONDITION_DELETION_BLOCKED,
    CONDITION_HALTED, CONDITION_IMAGE_DIFFERS, CONDITION_PASSWORD_MISMATCH, CONDITION_PROVISIONING_STARTED,
    CONDITION_REPLICA_READY, CONDITION_RESTART_PENDING, CONDITION_SETTINGS_REJECTED,
    CONDITION_STORAGE_RESIZING, CONDITION_VOLUME_AT_RISK, DEGRADING, PROBLEMS, REASON_CREDENTIALS_UNUSABLE,
    REASON_DELETING, REASON_SCALED_DOWN,
};
use crate::deletion::DeletionBlocker;
use crate::expansion::Expansion;
use crate::image::ImageChoice;
use crate::next_pod::NextPod;
use crate::observation::{AuthSecret, Observation, PodLookup, Restart};
use crate::settings_check::SettingsCheck;
use crate::volume_risk::VolumeLookup;

/// Longest name of a client, in bytes.
const MAX_CLIENT: usize = 128;

/// The conditions, and what each new one needs.
pub struct Conditions<'a> {
    pub all: &'a mut Vec<Condition>,
    pub database: &'a Postgres,
    /// The generation that they apply to.
    pub generation: Option<i64>,
    pub now: &'a Time,
}

impl Conditions<'_> {
    fn set(&mut self, type_: &str, holds: bool, reason: &str, message: &str) {
        self.set_status(type_, if holds { "True" } else { "False" }, reason, message);
    }

    fn set_status(&mut self, type_: &str, status: &str, reason: &str, message: &str) {
        let mut new = Condition::new(type_, status, reason, message, self.now.clone());
        new.observed_generation = self.generation;
        condition::set(self.all, new);
    }

    fn clear(&mut self, type_: &str) {
        self.all.retain(|condition| condition.type_ != type_);
    }

    /// While the database is paused nothing is built, so the condition stays unchanged.
    pub fn provisioning_started(&mut self, observed: &Observed) {
        match (observed.build_error, observed.workload) {
            (Some(error), _) => {
                self.set(CONDITION_PROVISIONING_STARTED, false, error.reason(), &error.to_string());
            }
            (None, Some(_)) if self.database.paused().is_none() => {
                let check = observed.running.settings_check.as_ref();
                let message = if check.is_some_and(SettingsCheck::withholds) {
                    "all objects of the database match its spec, but for the Secret with settings: see SettingsRejected"
                } else {
                    "all objects of the database match its spec"
                };
                self.set(CONDITION_PROVISIONING_STARTED, true, "ProvisioningStarted", message);
            }
            _ => {}
        }
    }

    /// While nothing is built the condition stays unchanged.
    pub fn image(&mut self, image: Option<&ImageChoice>) {
        match image.map(ImageChoice::difference) {
            Some(Some(difference)) => self.set(CONDITION_IMAGE_DIFFERS, true, "CatalogChanged", &difference),
            Some(None) => self.clear(CONDITION_IMAGE_DIFFERS),
            None => {}
        }
    }

    /// Readiness is a real `SELECT 1`, which the instance in the pod runs for the kubelet.
    pub fn readiness(&mut self, observed: &Observed, servers: Option<Servers>, ready: bool) {
        let (reason, message) = match (observed.build_error, servers) {
            _ if ready => ("Ready", "the server answers queries".to_owned()),
            (Some(error), None) => (error.reason(), error.to_string()),
            (None, None) => ("NotBuilt", "the StatefulSet does not exist".to_owned()),
            (_, Some(servers)) if servers.wanted == 0 => match &observed.running.unready {
                // It was to end, and nothing else can use its volume before it does.
                Some(unready) if unready.is_lost() => (unready.reason, unready.message.clone()),
                _ => ("Stopped", "the StatefulSet is scaled to 0".to_owned()),
            },
            (_, Some(servers)) => self.unready(observed.running, servers),
        };
        self.set_readiness(ready, reason, &message);
    }

    /// Set once and for all: the volume must never be initialised again. Of several servers the primary is the first to answer.
    pub fn provisioned(&mut self, serves: bool) {
        if serves && condition::find(self.all, CONDITION_PROVISIONED).is_none() {
            self.set(CONDITION_PROVISIONED, true, "Provisioned", "the server has answered its first query");
        }
    }

    /// No client can rely on a server that is being removed, whether it still answers or not.
    pub fn removal(&mut self) {
        let message =
            "the Postgres was deleted: its server is stopped, and what its deletion policy names is removed";
        self.set_readiness(false, REASON_DELETING, message);
    }

    fn set_readiness(&mut self, ready: bool, reason: &str, message: &str) {
        for type_ in [CONDITION_REPLICA_READY, CONDITION_ACCEPTING, CONDITION_READY] {
            self.set(type_, ready, reason, message);
        }
    }

    /// A client that scales the workload down comes first: what is wrong with the pod follows from that.
    fn unready(&self, running: &Observation, servers: Servers) -> (&'static str, String) {
        match (&running.unready, &running.scaled_down_by) {
            (Some(unready), _) if unready.is_lost() => (unready.reason, unready.message.clone()),
            (_, Some(client)) => (REASON_SCALED_DOWN, self.scaled_down(client, servers)),
            (Some(unready), None) => (unready.reason, unready.message.clone()),
            (None, None) => match self.told_scaling().filter(|_| running.server_pod.is_ending()) {
                Some(message) => (REASON_SCALED_DOWN, message.to_owned()),
                None => ("NotReady", self.not_ready(servers)),
            },
        }
    }

    /// What was told of a client that has scaled the workload down. It does so again at any moment, and the workload is seen in
    /// between too.
    fn told_scaling(&self) -> Option<&str> {
        let told = condition::find(self.all, CONDITION_READY)?;
        told.message.as_deref().filter(|_| told.reason.as_deref() == Some(REASON_SCALED_DOWN))
    }

    fn scaled_down(&self, client: &str, servers: Servers) -> String {
        format!(
            "another client, which calls itself \"{}\", has scaled StatefulSet {} to 0, and the provisioner has set it back to {}. If \
             that repeats, stop that client; to stop the database, set spec.halted: true",
            bounded(client, MAX_CLIENT, ""),
            self.database.name_any(),
            servers.wanted,
        )
    }

    fn not_ready(&self, servers: Servers) -> String {
        format!(
            "{} of {} servers answer; `kubectl -n {} logs {} -c {}` shows what the server waits for, `kubectl describe \
             pod` why it does not run",
            servers.ready,
            servers.wanted,
            self.database.namespace().unwrap_or_default(),
            names::pod(&self.database.name_any(), 0),
            names::CONTAINER_POSTGRES,
        )
    }

    /// An upgrade that has paused the database replaces the pod itself.
    pub fn restart(&mut self, restart: &Restart) {
        match restart {
            Restart::NotNeeded => self.clear(CONDITION_RESTART_PENDING),
            Restart::Pending(fields) if self.database.paused().is_none() => {
                let fields =
                    if fields.is_empty() { "the pod template".to_owned() } else { fields.join(", ") };
                let pod = names::pod(&self.database.name_any(), 0);
                let namespace = self.database.namespace().unwrap_or_default();
                let is_ephemeral = self.database.storage_type() == StorageType::Ephemeral;
                let loss = if is_ephemeral { " and deletes all data (storageType Ephemeral)" } else { "" };
                let message = format!(
                    "pod {pod} still runs without these changes: {fields}. They take effect when it is restarted, which \
                     interrupts clients{loss}: apply a PostgresOpsRequest of type Restart, or `kubectl -n {namespace} delete pod {pod}`"
                );
                self.set(CONDITION_RESTART_PENDING, true, "PodOutdated", &message);
            }
            Restart::Pending(_) | Restart::Unknown => {}
        }
    }

    pub fn storage(&mut self, expansion: Option<&Expansion>) {
        match expansion {
            Some(Expansion::InProgress(state)) => {
                self.set(CONDITION_STORAGE_RESIZING, true, state.reason, &state.to_string());
            }
            Some(Expansion::Blocked(state)) => {
                self.set(CONDITION_STORAGE_RESIZING, false, state.reason, &state.to_string());
            }
            Some(Expansion::Done) => self.clear(CONDITION_STORAGE_RESIZING),
            // Just raised: the claim reports the rest.
            Some(Expansion::Raise(_)) | None => {}
        }
    }

    /// Nothing brings back a claim that is being deleted: it must be known before anything stops the pod.
    pub fn volume(&mut self, volume: &VolumeLookup) {
        match volume {
            VolumeLookup::AtRisk(risk) => {
                let pod = names::pod(&self.database.name_any(), 0);
                let message = format!("the volume may be lost when pod {pod} stops: {risk}");
                self.set(CONDITION_VOLUME_AT_RISK, true, CONDITION_VOLUME_AT_RISK, &message);
            }
            VolumeLookup::Kept => self.clear(CONDITION_VOLUME_AT_RISK),
            VolumeLookup::Unknown => {}
        }
    }

    /// The server that runs is not harmed by what the next pod lacks: it must be known before anything stops it.
    pub fn next_pod(&mut self, running: &Observation) {
        match (&running.next_pod, running.next_pod.problem()) {
            // The condition VolumeAtRisk says it.
            (NextPod::Accepted | NextPod::LosesVolume(_), _) => self.clear(CONDITION_RESTART_BLOCKED),
            (_, Some((reason, message))) => {
                self.set(CONDITION_RESTART_BLOCKED, true, reason, &message);
            }
            // The condition Ready says it.
            (_, None) if running.server_pod == PodLookup::Missing => self.clear(CONDITION_RESTART_BLOCKED),
            (_, None) => {}
        }
    }

    pub fn auth_secret(&mut self, running: &Observation) {
        let secret = self.database.auth_secret();
        let namespace = self.database.namespace().unwrap_or_default();
        let pod = names::pod(&self.database.name_any(), 0);
        match running.auth_secret {
            AuthSecret::Missing => {
                let remedy = if self.database.was_initialized() {
                    format!(
                        "Create it again with the keys username and password, from a backup or with a new password. A new \
                         one must be set in the server too, as the pod's socket requires none: `kubectl -n {namespace} exec \
                         -it {pod} -c {} -- psql -h {} -U USERNAME template1`, then \\password",
                        names::CONTAINER_POSTGRES,
                        layout::SOCKET_DIR,
                    )
                } else {
                    "Create it with the keys username and password; if the volume has the data of an earlier database, with those \
                     of that database"
                        .to_owned()
                };
                let message = format!(
                    "Secret {secret} with the superuser's password does not exist: no pod of the database, and no \
                     upgrade, can start without it. {remedy}"
                );
                self.set(CONDITION_AUTH_SECRET_MISSING, true, "SecretNotFound", &message);
            }
            AuthSecret::Present => self.clear(CONDITION_AUTH_SECRET_MISSING),
            AuthSecret::Unknown => {}
        }
        let instance = running.instance.as_ref();
        if let Some(problem) = instance.and_then(|instance| instance.credentials_problem.as_deref()) {
            let message = format!(
                "no server can be started with Secret {secret}: {problem}. The one that runs has read it before: correct the Secret"
            );
            self.set(CONDITION_PASSWORD_MISMATCH, true, REASON_CREDENTIALS_UNUSABLE, &message);
            return;
        }
        match instance.map(|instance| instance.password) {
            Some(PasswordState::Rejected) => {
                let message = format!(
                    "the server rejects the username and password in Secret {secret}: one was changed without the other. \
                     Upgrades fail until they agree: set the server's password in the Secret, or the Secret's in the \
                     server (ALTER ROLE … PASSWORD)"
                );
                self.set(CONDITION_PASSWORD_MISMATCH, true, "PasswordRejected", &message);
            }
            Some(PasswordState::Accepted) => self.clear(CONDITION_PASSWORD_MISMATCH),
            // Of a server whose clients present certificates no password is tried.
            Some(PasswordState::Unknown)
                if self.database.server_tls().is_some_and(|it| it.verifies_clients) =>
            {
                self.clear(CONDITION_PASSWORD_MISMATCH);
            }
            Some(PasswordState::Unknown) | None => {}
        }
    }

    /// Settings that the server would not start with. One that does not run says so itself.
    pub fn settings(&mut self, running: &Observation) {
        let before = condition::find(self.all, CONDITION_SETTINGS_REJECTED);
        match settings::judge(self.database, running, before) {
            Judgement::Told(Told { status, reason, message }) => {
                self.set_status(CONDITION_SETTINGS_REJECTED, status, reason, &message);
            }
            Judgement::Nothing => self.clear(CONDITION_SETTINGS_REJECTED),
            Judgement::Unknown => {}
        }
    }

    pub fn certificates(&mut self, running: &Observation) {
        let (readiness, expiry) = certificates::judge(self.database, running, self.now.0);
        match readiness {
            Readiness::NotUsed => self.clear(CONDITION_CERTIFICATES_READY),
            Readiness::Unknown => {}
            Readiness::NotReported(message) => {
                let reason = certificates::SERVER_NOT_RUNNING;
                self.set_status(CONDITION_CERTIFICATES_READY, "Unknown", reason, message);
            }
            Readiness::Ready(message) => {
                self.set(CONDITION_CERTIFICATES_READY, true, CONDITION_CERTIFICATES_READY, &message);
            }
            Readiness::NotReady { reason, message } => {
                self.set(CONDITION_CERTIFICATES_READY, false, reason, &message);
            }
        }
        match expiry {
            Expiry::NotSoon => self.clear(CONDITION_CERTIFICATE_EXPIRING),
            Expiry::Unknown => {}
            Expiry::Soon(message) => {
                self.set(CONDITION_CERTIFICATE_EXPIRING, true, CONDITION_CERTIFICATE_EXPIRING, &message);
            }
        }
    }

    pub fn halted(&mut self, halted: bool) {
        if halted {
            let message = "stopped because spec.halted is true; the data is kept";
            self.set(CONDITION_HALTED, true, "Halted", message);
        } else {
            self.clear(CONDITION_HALTED);
        }
    }

    pub fn deletion(&mut self, blocker: Option<&DeletionBlocker>) {
        match blocker {
            Some(blocker) => {
                self.set(CONDITION_DELETION_BLOCKED, true, blocker.reason(), &blocker.to_string());
            }
            None => self.clear(CONDITION_DELETION_BLOCKED),
        }
    }

    /// The summary of what needs an operator, as the other conditions have it.
    pub fn degraded(&mut self) {
        let problems: Vec<_> = PROBLEMS[..DEGRADING]
            .iter()
            .filter_map(|(type_, bad)| condition::find(self.all, type_).filter(|found| found.status == *bad))
            .map(|found| {
                let reason = found.reason.clone().unwrap_or_default();
                (reason, format!("{}: {}", found.type_, found.message.as_deref().unwrap_or_default()))
            })
            .collect();
        let is_initialized = condition::find(self.all, CONDITION_PROVISIONED).is_some();
        match problems.first() {
            Some((reason, _)) if is_initialized || self.database.was_initialized() => {
                let messages: Vec<_> = problems.iter().map(|(_, message)| message.as_str()).collect();
                self.set(CONDITION_DEGRADED, true, reason, &messages.join("\n"));
            }
            _ => self.clear(CONDITION_DEGRADED),
        }
    }
}
