//! Why a worker does not start: what prevents its pod, and what is not told by anybody but lasts too long.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use pgops_api::bounded;
use pgops_kube::observed::{container_statuses, has_started, last_observed};
use pgops_kube::pod_problem::{self, PodProblem, PodProblemCause, creation_problem};

use super::job_state::{self, JobState};
use super::pods::{self, created};

/// How long a worker may take to start before it is said what it is doing.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);
/// Longest text of another component, in bytes.
const MAX_TEXT: usize = 1024;

/// Why a worker does not start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StartProblem {
    pub reason: StartReason,
    /// What prevents which pod from starting, with the image if the image is the cause.
    pub message: String,
    pub since: Timestamp,
}

/// The kind of a [`StartProblem`]: the reason of a condition and of an Event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StartReason {
    /// An image cannot be pulled.
    Image,
    /// A container cannot be created or run.
    Configuration,
    /// No node takes the pod.
    Unschedulable,
    /// A volume cannot be attached or mounted.
    VolumeNotMounted,
    /// A quota, a limit range or a policy refuses the pod.
    PodRefused,
    /// There is no pod, or its runner does not start, and no reason was reported.
    NotStarted,
}

impl StartReason {
    const ALL: [Self; 6] = [
        Self::Image,
        Self::Configuration,
        Self::Unschedulable,
        Self::VolumeNotMounted,
        Self::PodRefused,
        Self::NotStarted,
    ];

    /// The word for conditions and Events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "WorkerImage",
            Self::Configuration => "WorkerConfiguration",
            Self::Unschedulable => "WorkerUnschedulable",
            Self::VolumeNotMounted => "VolumeNotMounted",
            Self::PodRefused => "PodRefused",
            Self::NotStarted => "WorkerPod",
        }
    }

    /// Whether it is the word of one of these kinds.
    pub fn is_one(word: &str) -> bool {
        Self::ALL.iter().any(|reason| reason.as_str() == word)
    }

    /// The kind of what prevents the pod; none if that may pass by itself.
    fn of(cause: PodProblemCause) -> Option<Self> {
        match cause {
            PodProblemCause::Refused => Some(Self::PodRefused),
            PodProblemCause::Unschedulable => Some(Self::Unschedulable),
            PodProblemCause::VolumeNotMounted => Some(Self::VolumeNotMounted),
            PodProblemCause::Image => Some(Self::Image),
            // A sidecar crashes whose image cannot run the agent, for example one for another processor.
            PodProblemCause::Configuration | PodProblemCause::Crash => Some(Self::Configuration),
            PodProblemCause::Ended | PodProblemCause::Other => None,
        }
    }

    /// Whether only another image or pod would help. The others pass when the namespace or the cluster changes.
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::Image | Self::Configuration)
    }
}

/// Uid of the object whose Events say why the worker of an active Job does not start: its pod, or the Job itself as long as
/// it has none.
pub fn subject(job: &Job, all: &[Pod]) -> Option<String> {
    if job_state::of(job) != JobState::Active {
        return None;
    }
    match all.iter().find(|pod| pods::is_alive(pod)) {
        Some(pod) if pods::runner_started(pod) => None,
        Some(pod) => pod.uid(),
        None => job.uid(),
    }
}

/// What prevents the worker of an active Job from starting, if anything. `events` are the warnings about its [`subject`].
pub fn start_problem(job: &Job, all: &[Pod], events: &[Event], now: Timestamp) -> Option<StartProblem> {
    let mut alive = all.iter().filter(|pod| pods::is_alive(pod)).peekable();
    if alive.peek().is_none() {
        return without_pod(job, all, events, now);
    }
    alive.find_map(|pod| {
        let waits = !pods::runner_started(pod);
        let told = pod_problem::start_problem(pod, events).and_then(|problem| told(problem, created(pod)));
        // What keeps a runner from its sidecars is a problem even after it has started.
        let told = told.filter(|problem| waits || problem.reason.is_permanent());
        told.or_else(|| waits.then(|| not_started(pod, events, now)).flatten())
    })
}

fn told(problem: PodProblem, since: Timestamp) -> Option<StartProblem> {
    let reason = StartReason::of(problem.cause)?;
    let since = problem.since.unwrap_or(since);
    Some(StartProblem { reason, message: bounded(problem.message, MAX_TEXT, ""), since })
}

/// Pods that have ended stay: their Job is about to end, or to create another.
fn without_pod(job: &Job, ended: &[Pod], events: &[Event], now: Timestamp) -> Option<StartProblem> {
    let name = job.name_any();
    let started = job.status.as_ref().and_then(|status| status.start_time.as_ref());
    let started = started.or(job.metadata.creation_timestamp.as_ref())?.0;
    let last = ended.iter().map(created).max();
    if let Some(refused) = creation_problem(&format!("job {name}"), events, last) {
        return told(refused, started);
    }
    let since = last.unwrap_or(started);
    if now.duration_since(since) < PATIENCE {
        return None;
    }
    let message = match pods::failure_message(ended) {
        Some(failure) => {
            format!(
                "job {name} has no new pod yet, and pauses longer after each one that failed; the last one: {failure}"
            )
        }
        None => format!("job {name} has no pod; for the reason run kubectl describe job {name}"),
    };
    Some(StartProblem { reason: StartReason::NotStarted, message, since })
}

/// After a while, whatever the pod does instead of running its runner.
fn not_started(pod: &Pod, events: &[Event], now: Timestamp) -> Option<StartProblem> {
    let name = pod.name_any();
    let since = created(pod);
    if now.duration_since(since) < PATIENCE {
        return None;
    }
    // Once a container has been started, earlier warnings are obsolete.
    let is_new = !container_statuses(pod).any(|container| container.state.as_ref().is_some_and(has_started));
    let warning = events.iter().max_by_key(|event| last_observed(event)).filter(|_| is_new);
    let detail = warning
        .map(|event| bounded(pod_problem::words(event), MAX_TEXT, ""))
        .or_else(|| current_container(pod));
    let detail = detail.unwrap_or_else(|| format!("for the reason run kubectl describe pod {name}"));
    let message = format!("pod {name} has not started its runner: {detail}");
    Some(StartProblem { reason: StartReason::NotStarted, message, since })
}

/// What the first container does that has not ended.
fn current_container(pod: &Pod) -> Option<String> {
    container_statuses(pod).find_map(|container| {
        let state = container.state.as_ref()?;
        let is_sidecar = container.started == Some(true);
        match (&state.running, &state.waiting) {
            (Some(running), _) if !is_sidecar => {
                let since = running.started_at.as_ref().map(|time| format!(" since {}", time.0));
                Some(format!("container {} runs{}", container.name, since.unwrap_or_default()))
            }
            (None, Some(waiting)) => {
                let reason = waiting.reason.as_deref().unwrap_or("no reason");
                Some(format!("container {} waits ({reason})", container.name))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests;
