//! Why a worker does not start, in the words of the API server that refuses the pod, of the scheduler, or of the kubelet.
//! Pods tell some of it in their status; the rest is only in the Events of the Job and of its pod.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerState, Event, Pod};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use pgops_kube::observed::{container_statuses, last_observed};

use super::job_state::{self, JobState};
use super::pods::{self, created, shorten};

/// How long a worker may take to start before it is said what it is doing.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// Reason of the Job controller's Event about a pod that the API server refuses.
const FAILED_CREATE: &str = "FailedCreate";
/// Reasons of Events about a volume that a pod waits for.
const VOLUME_REASONS: [&str; 3] = ["FailedMount", "FailedAttachVolume", "FailedMapVolume"];

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
        container_problem(pod).or_else(|| {
            let waits = !pods::runner_started(pod);
            waits.then(|| scheduling_problem(pod).or_else(|| not_started(pod, events, now))).flatten()
        })
    })
}

/// Pods that have ended stay: their Job is about to end, or to create another.
fn without_pod(job: &Job, ended: &[Pod], events: &[Event], now: Timestamp) -> Option<StartProblem> {
    let name = job.name_any();
    let started = job.status.as_ref().and_then(|status| status.start_time.as_ref());
    let started = started.or(job.metadata.creation_timestamp.as_ref())?.0;
    let last = ended.iter().map(created).max();
    let refused = latest(events, |event| is_of(event, &[FAILED_CREATE]))
        .filter(|event| last.is_none_or(|last| last_observed(event) > Some(last)));
    if let Some(refused) = refused {
        let message = format!("job {name} cannot create its pod: {}", words(refused));
        return Some(StartProblem { reason: StartReason::PodRefused, message, since: started });
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

fn container_problem(pod: &Pod) -> Option<StartProblem> {
    let name = pod.name_any();
    container_statuses(pod).find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let why = waiting.reason.as_deref()?;
        let reason = permanent_reason(why)?;
        let detail = waiting.message.as_deref().unwrap_or("no details");
        let message = format!(
            "container {} of pod {name} cannot start from image {}: {why}: {}",
            container.name,
            container.image,
            shorten(detail)
        );
        Some(StartProblem { reason, message, since: created(pod) })
    })
}

/// Our reason for a waiting reason of the kubelet that does not resolve by itself.
fn permanent_reason(waiting: &str) -> Option<StartReason> {
    match waiting {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some(StartReason::Image),
        // The last two: a sidecar whose image cannot run the agent, for example one for another processor.
        "CreateContainerConfigError" | "CreateContainerError" | "CrashLoopBackOff" | "RunContainerError" => {
            Some(StartReason::Configuration)
        }
        _ => None,
    }
}

/// Unschedulable, or held back by a scheduling gate.
fn scheduling_problem(pod: &Pod) -> Option<StartProblem> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    let unscheduled = conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled" && condition.status == "False" && condition.reason.is_some()
    })?;
    let detail = unscheduled.message.as_deref().or(unscheduled.reason.as_deref()).unwrap_or("no details");
    let message = format!("pod {} cannot be scheduled: {}", pod.name_any(), shorten(detail));
    let since = unscheduled.last_transition_time.as_ref().map_or_else(|| created(pod), |time| time.0);
    Some(StartProblem { reason: StartReason::Unschedulable, message, since })
}

/// A volume that the kubelet waits for, or after a while whatever the pod does instead of running its runner.
fn not_started(pod: &Pod, events: &[Event], now: Timestamp) -> Option<StartProblem> {
    let name = pod.name_any();
    let since = created(pod);
    let is_new = !container_statuses(pod).any(|container| container.state.as_ref().is_some_and(has_started));
    let warning = |reasons: &[&str]| latest(events, |event| is_of(event, reasons)).filter(|_| is_new);
    if let Some(volume) = warning(&VOLUME_REASONS) {
        let message = format!("pod {name} waits for a volume: {}", words(volume));
        return Some(StartProblem { reason: StartReason::VolumeNotMounted, message, since });
    }
    if now.duration_since(since) < PATIENCE {
        return None;
    }
    let detail = warning(&[]).map(words).or_else(|| current_container(pod));
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

fn has_started(state: &ContainerState) -> bool {
    state.running.is_some() || state.terminated.is_some()
}

/// The latest of the Events that match.
fn latest(events: &[Event], matches: impl Fn(&Event) -> bool) -> Option<&Event> {
    events.iter().filter(|event| matches(event)).max_by_key(|event| last_observed(event))
}

/// Whether the Event has one of these reasons; any, if there are none.
fn is_of(event: &Event, reasons: &[&str]) -> bool {
    reasons.is_empty() || event.reason.as_deref().is_some_and(|reason| reasons.contains(&reason))
}

fn words(event: &Event) -> String {
    let message = event.message.as_deref().unwrap_or("no details").trim();
    shorten(message.strip_prefix("Error creating: ").unwrap_or(message))
}

#[cfg(test)]
mod tests;
