//! Why a step failed.

use std::path::PathBuf;
use std::time::Duration;

use pgops_api::opsrequest::NOT_PROVISIONED;
use pgops_api::plan::Step;
use pgops_api::version::ParseVersionError;
use pgops_api::{PgVersion, StorageRisk, bounded, display_chain};
use pgops_volume::FileError;

use super::finding::{Finding, listed};
use super::rollout_error::RolloutError;
use crate::agent::AgentError;
use crate::cluster::{ClusterError, MemoryKill};
use crate::postgres::client::error::ServerError;
use crate::postgres::pg_upgrade::PgUpgradeError;
use crate::postgres::privileges::difference::Difference;
use crate::postgres::program::command::CommandError;
use crate::postgres::program::initdb::SyncError;
use crate::postgres::program::programs::VerifyError;
use crate::postgres::proxy::ProxyError;
use crate::postgres::server::inspection::InspectionError;
use crate::postgres::server::recovery::RecoveryError;
use crate::postgres::server::scratch::ScratchError;
use crate::saga::{Failure, UndoError};

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A Kubernetes object.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A program of `PostgreSQL`.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Another container of the worker.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The private server on the new data.
    #[error(transparent)]
    Inspection(#[from] InspectionError),
    /// The new data, which must be on the disk before the old data is given up.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The programs of an image.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    PgUpgrade(#[from] PgUpgradeError),
    /// The way from programs to the serving database.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The old data.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The scratch server of the rehearsal.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The serving database.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A version in the plan.
    #[error(transparent)]
    Version(#[from] ParseVersionError),
    /// A file, on the volume or in the image.
    #[error(transparent)]
    File(#[from] FileError),
    #[error("failed to compute until when the old data is kept")]
    Retention(#[source] jiff::Error),
    /// What would make the upgrade fail, and what else was found.
    #[error("{} the upgrade:\n{}", count(.0), listed(.0))]
    Findings(Vec<Finding>),
    /// Another container of the worker was killed.
    #[error("{kill}")]
    OutOfMemory {
        kill: MemoryKill,
        #[source]
        source: Box<StepError>,
    },
    /// Most of an optional step was done; these things were not.
    #[error("{}", shortened(.0))]
    LeftUndone(Vec<String>),
    /// Code of users has run as superuser, and given rights that last.
    #[error(
        "the new cluster has rights that neither the old one nor a new one has, so a definition has run code as superuser; \
         see \"privilege-escalation\" in docs/reference/findings.md:\n{}",
        differences(.0)
    )]
    Escalation(Vec<Difference>),
    /// The objects are no longer what the plan was made from.
    #[error(transparent)]
    PlanMismatch(#[from] PlanMismatch),
    /// A step after the preflight does not find the preflight's facts.
    #[error("the preflight's facts are missing from {}; delete the request and apply a new one", .0.display())]
    FactsMissing(PathBuf),
    /// Code of users may have changed what it is compared with.
    #[error(
        "{} is not what the preflight has stored, so code that a definition calls as superuser may have changed it; see \
         \"privilege-escalation\" in docs/reference/findings.md; then apply a new request", .0.display()
    )]
    StoredFindingsChanged(PathBuf),
    /// Of a database with standbys.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error("the interlock is not held; the data was not changed")]
    NotFenced,
    #[error("the database does not answer: {obstacle}; see \"kubectl -n {namespace} describe pod {pod}\"")]
    DatabaseNotReady { pod: String, obstacle: String, namespace: String },
    /// The request was cancelled while the step waited.
    #[error("{}", .0.message)]
    Cancelled(Failure),
    /// The image holds another version than the catalog declares.
    #[error(
        "the server reports version {reported}, but PostgresVersion {name} declares {expected}: correct the catalog or \
         the image"
    )]
    WrongVersion { name: String, expected: PgVersion, reported: PgVersion },
    /// Another client started the old server after `pg_upgrade`.
    #[error(
        "another client started the server of {version} after pg_upgrade, and it may have accepted writes: apply a new \
         request, and do not change the StatefulSet meanwhile"
    )]
    OldServerRan { version: String },
    /// The old data must stay, since the new version is not active.
    #[error("the volume does not name {major} as its active version")]
    NotActive { major: u32 },
    /// The old data must stay, since a tablespace would be deleted with it.
    #[error("the data of {major} is kept: the tablespace {} lies within a data directory", .tablespace.display())]
    TablespaceWithinData { major: u32, tablespace: PathBuf },
    /// The step is not undone: clients could reach the new server.
    #[error("the new server {0} and may have accepted writes: rolling back would lose data")]
    UndoUnsafe(&'static str),
    /// The step took longer than `spec.timeout`, or than its own limit.
    #[error(
        "the step took longer than {} s, the limit of spec.timeout or its own{}", .limit.as_secs(), waited_for(.waiting.as_deref())
    )]
    Timeout {
        limit: Duration,
        /// What it waited for, if that was known.
        waiting: Option<String>,
    },
}

/// How the objects differ from what the plan was made from.
#[derive(Debug, thiserror::Error)]
pub enum PlanMismatch {
    #[error("database {database} is being deleted")]
    Deleted { database: String },
    #[error(
        "database {database} has spec.version {version}, but the request was admitted for {planned}: apply a new request"
    )]
    Version { database: String, version: String, planned: String },
    /// Stopping the pod, as every upgrade does, may lose the volume.
    #[error(transparent)]
    Storage(#[from] StorageRisk),
    /// Nor could the upgrade be undone.
    #[error("the server is not stopped, since it could not be started again: {0}")]
    RestartBlocked(String),
    #[error("database {database} has no durable storage: its data would not survive")]
    Ephemeral { database: String },
    #[error(
        "StatefulSet {database} has image {image}, but the request was admitted for {planned}: apply a new request"
    )]
    Image { database: String, image: String, planned: String },
}

fn count(findings: &[Finding]) -> String {
    match findings.iter().filter(|finding| finding.blocks()).count() {
        1 => "1 finding blocks".to_owned(),
        count => format!("{count} findings block"),
    }
}

/// How many lines a message has.
const MAX_LINES: usize = 20;
/// The longest message of a failure, in bytes. The journal keeps it, in the reserve of a full volume if need be, and so do
/// the conditions of the step and of the request, each with a few words more.
const MAX_MESSAGE: usize = 28 << 10;

fn shortened(lines: &[String]) -> String {
    match lines.len().checked_sub(MAX_LINES) {
        None | Some(0) => lines.join("\n"),
        Some(more) => format!("{}\n… and {more} more", lines[..MAX_LINES].join("\n")),
    }
}

fn differences(differences: &[Difference]) -> String {
    shortened(&differences.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn waited_for(waiting: Option<&str>) -> String {
    waiting.map(|waiting| format!("; what it waited for: {waiting}")).unwrap_or_default()
}

const WHOLE_IN_LOG: &str = " (all of it is in the Job's log)";

impl StepError {
    /// All of the message, if a failure has only its beginning: for the log.
    #[must_use]
    pub fn whole_message(&self) -> Option<String> {
        Some(display_chain(self)).filter(|message| message.len() > MAX_MESSAGE)
    }

    /// Whether another attempt at the same step may succeed.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Cluster(error) => error.is_retryable(),
            // The code that has replaced the server would do so again.
            Self::Server(ServerError::Replaced { .. }) => false,
            Self::Server(_) | Self::Timeout { .. } | Self::Rollout(_) => true,
            _ => false,
        }
    }

    /// The container of the worker that cannot be asked any more, if that is the cause: only the next pod has one that can.
    #[must_use]
    pub fn lost_container(&self) -> Option<&'static str> {
        let mut error: Option<&(dyn std::error::Error + 'static)> = match self {
            Self::Agent(error) => return error.lost_container(),
            Self::OutOfMemory { source, .. } => return source.lost_container(),
            other => Some(other),
        };
        while let Some(cause) = error {
            if let Some(error) = cause.downcast_ref::<AgentError>() {
                return error.lost_container();
            }
            error = cause.source();
        }
        None
    }

    /// How the journal and the request's status record it.
    #[must_use]
    pub fn failure(&self, step: Step) -> Failure {
        if let Self::Cancelled(failure) = self {
            return failure.clone();
        }
        let is_foreign = matches!(self, Self::Cluster(error) if error.is_foreign());
        Failure {
            // As the launcher says it, which looks at the same objects first.
            reason: if is_foreign { NOT_PROVISIONED.to_owned() } else { format!("{step}Failed") },
            message: bounded(display_chain(self), MAX_MESSAGE, WHOLE_IN_LOG),
            retryable: self.is_retryable(),
        }
    }

    /// The same for an undo.
    #[must_use]
    pub fn undo_error(&self, step: Step) -> UndoError {
        match self {
            Self::UndoUnsafe(_) => UndoError::Unsafe(self.failure(step)),
            _ if self.lost_container().is_some() => UndoError::Interrupted(self.failure(step)),
            _ => UndoError::Failed(self.failure(step)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_list_of_undone_things_is_shortened_and_counted() {
        let lines = |count: usize| (0..count).map(|number| format!("index {number}")).collect::<Vec<_>>();
        assert_eq!(StepError::LeftUndone(lines(2)).to_string(), "index 0\nindex 1");
        assert!(StepError::LeftUndone(lines(MAX_LINES)).to_string().ends_with("index 19"));
        assert!(StepError::LeftUndone(lines(50)).to_string().ends_with("index 19\n… and 30 more"));
    }

    /// The API server refuses a longer condition, and a request whose end cannot be stored is a `JobFailed` without a reason.
    #[test]
    fn any_number_of_findings_fits_into_a_condition() {
        let finding =
            |number| Finding::new("schema-restore", format!("view v{number}: {}", "x".repeat(1024)));
        let mut findings: Vec<_> = (0..3000).map(finding).collect();
        findings.insert(0, Finding::note("extension-version", "hstore"));
        let failure = StepError::Findings(findings).failure(Step::Preflight);
        assert!(failure.message.len() <= MAX_MESSAGE, "{}", failure.message.len());
        assert!(failure.message.starts_with("3000 findings block the upgrade:\n[schema-restore] view v0: x"));
        assert!(failure.message.ends_with("all of them are in the Job's log"), "{}", failure.message);
        assert!(!failure.message.contains("hstore"), "notes come last");
    }

    #[test]
    fn failure_with_a_long_message_refers_to_the_log() {
        let server = |text: String| StepError::LeftUndone(vec![text]);
        let failure = server("x".repeat(1 << 20)).failure(Step::Analyze);
        assert!(failure.message.len() <= MAX_MESSAGE && failure.message.ends_with(WHOLE_IN_LOG));
        assert_eq!(server("x".repeat(1 << 20)).whole_message().map(|whole| whole.len()), Some(1 << 20));
        assert_eq!(server("short".to_owned()).whole_message(), None);
    }

    #[test]
    fn failure_for_lack_of_memory_names_container_and_limit() {
        let lost =
            AgentError::Lost { container: "programs", source: std::io::ErrorKind::UnexpectedEof.into() };
        let kill = MemoryKill { container: "programs".to_owned(), limit: Some("512Mi".to_owned()) };
        let error = StepError::OutOfMemory { kill, source: Box::new(lost.into()) };
        assert_eq!(error.lost_container(), Some("programs"));
        let Failure { message, retryable, .. } = error.failure(Step::PgUpgraded);
        assert!(message.contains("\"programs\"") && message.contains("limit of 512Mi"), "{message}");
        assert!(message.contains("has ended"), "{message}");
        assert!(!retryable, "the next pod does the step again");
    }

    #[test]
    fn lost_agent_is_found_below_any_error() {
        let lost =
            || AgentError::Lost { container: "programs", source: std::io::ErrorKind::UnexpectedEof.into() };
        let command = |source| CommandError::Agent { program: "initdb".to_owned(), source };
        assert_eq!(StepError::from(lost()).lost_container(), Some("programs"));
        assert_eq!(StepError::from(command(lost())).lost_container(), Some("programs"));
        assert_eq!(StepError::from(PgUpgradeError::Prepare(lost())).lost_container(), Some("programs"));
        assert_eq!(
            StepError::from(ScratchError::Command(command(lost()))).lost_container(),
            Some("programs")
        );
        let path = std::path::PathBuf::from("/run/pgops/programs/.s.PGSQL.5432");
        assert_eq!(
            StepError::from(ServerError::Socket { path, source: lost() }).lost_container(),
            Some("programs")
        );
        let failed = AgentError::Failed { message: "no space".to_owned() };
        assert_eq!(StepError::from(command(failed)).lost_container(), None);
        assert_eq!(StepError::NotFenced.lost_container(), None);
    }

    #[test]
    fn timeout_says_what_the_step_waited_for() {
        let timeout = |waiting: Option<&str>| {
            let error =
                StepError::Timeout { limit: Duration::from_mins(1), waiting: waiting.map(ToOwned::to_owned) };
            error.failure(Step::StartDatabase)
        };
        let failure = timeout(Some("pod orders-0 cannot be scheduled: 0/1 nodes are available"));
        assert!(
            failure
                .message
                .ends_with("what it waited for: pod orders-0 cannot be scheduled: 0/1 nodes are available")
        );
        assert!(failure.retryable && timeout(None).message.ends_with("of spec.timeout or its own"));
    }

    #[test]
    fn cancelled_wait_fails_as_the_cancellation() {
        let failure =
            Failure { reason: "Cancelled".into(), message: "it was deleted".into(), retryable: false };
        assert_eq!(StepError::Cancelled(failure.clone()).failure(Step::StartDatabase), failure);
    }

    #[test]
    fn escalation_is_named_and_not_tried_again() {
        let difference = Difference {
            object: "role \"tenant\"".into(),
            database: None,
            before: "no SUPERUSER".into(),
            after: "SUPERUSER".into(),
        };
        let failure = StepError::Escalation(vec![difference]).failure(Step::PgUpgraded);
        assert!(
            failure.message.ends_with("role \"tenant\": SUPERUSER (before: no SUPERUSER)"),
            "{failure:?}"
        );
        assert!(!failure.retryable);
    }

    #[test]
    fn stored_findings_that_were_changed_are_named_and_not_tried_again() {
        let error = StepError::StoredFindingsChanged("/var/pv/.pgops/requests/3f9c21aa/facts.json".into());
        let failure = error.failure(Step::PgUpgraded);
        assert!(
            failure.message.starts_with("/var/pv/.pgops/requests/3f9c21aa/facts.json is not "),
            "{failure:?}"
        );
        assert!(!failure.retryable);
    }

    #[test]
    fn foreign_object_is_reported_as_not_provisioned_and_not_tried_again() {
        let owner = pgops_api::Owner::new::<pgops_api::Postgres>("orders", "db");
        let foreign = owner.foreign::<k8s_openapi::api::apps::v1::StatefulSet>("orders");
        let failure = StepError::from(ClusterError::from(foreign)).failure(Step::Preflight);
        assert_eq!((failure.reason.as_str(), failure.retryable), ("NotProvisioned", false));
        assert!(
            failure.message.starts_with("StatefulSet orders does not belong to Postgres orders"),
            "{failure:?}"
        );
    }

    #[test]
    fn blocking_findings_are_counted_and_named_before_notes() {
        let findings = vec![Finding::note("extension-version", "hstore"), Finding::new("free-space", "none")];
        let text = StepError::Findings(findings).to_string();
        assert_eq!(
            text,
            "1 finding blocks the upgrade:\n[free-space] none\n[extension-version] note: hstore"
        );
    }
}
