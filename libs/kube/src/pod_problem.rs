//! Why a pod does not exist or does not run, in the words of the component that prevents it: the API server that refuses it, the
//! scheduler, or the kubelet. Pods tell some of it in their status; the rest is only in the Events of the pod and of its controller.

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use crate::observed::{container_statuses, has_started, last_observed};

/// Reasons of a controller's Events about its pods.
const FAILED_CREATE: &str = "FailedCreate";
const SUCCESSFUL_CREATE: &str = "SuccessfulCreate";
/// Reasons of Events on a pod whose containers wait for a volume.
const VOLUME_REASONS: [&str; 3] = ["FailedMount", "FailedAttachVolume", "FailedMapVolume"];
/// Reason of Events about a failed probe: they say only that a container does not answer.
const UNHEALTHY: &str = "Unhealthy";
/// Reason of the scheduler's Events, which stay when the pod has a node.
const FAILED_SCHEDULING: &str = "FailedScheduling";

/// What prevents a pod.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PodProblemCause {
    /// The API server refuses the pod: a quota, a limit range, a policy, a webhook.
    Refused,
    /// No node takes the pod, or a scheduling gate holds it back.
    Unschedulable,
    /// A volume cannot be attached or mounted.
    VolumeNotMounted,
    /// An image cannot be pulled.
    Image,
    /// A container cannot be created.
    Configuration,
    /// A container ends again and again, or its process cannot be started.
    Crash,
    /// A container has ended without success, and was not started again yet.
    Ended,
    /// The kubelet gives a reason that is not known here, such as a network that cannot be set up.
    Other,
}

/// Why a pod does not exist or does not run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PodProblem {
    /// The kind of cause.
    pub cause: PodProblemCause,
    /// What is prevented, and the words of the component that prevents it. Of any length.
    pub message: String,
    /// Since when, if that component says so.
    pub since: Option<Timestamp>,
}

/// What prevents `controller` (kind and name) from creating its pod, according to the controller's Events: the last attempt
/// counts, unless a pod was created after it.
#[must_use]
pub fn creation_problem(
    controller: &str,
    events: &[Event],
    last_created: Option<Timestamp>,
) -> Option<PodProblem> {
    let last = newest(events, &[FAILED_CREATE, SUCCESSFUL_CREATE])?;
    let is_later = last_created.is_none_or(|created| last_observed(last) > Some(created));
    (last.reason.as_deref() == Some(FAILED_CREATE) && is_later).then(|| PodProblem {
        cause: PodProblemCause::Refused,
        message: format!("{controller} cannot create its pod: {}", words(last)),
        since: None,
    })
}

/// What prevents the pod from running, according to its status and its Events.
#[must_use]
pub fn start_problem(pod: &Pod, events: &[Event]) -> Option<PodProblem> {
    scheduling_problem(pod)
        .or_else(|| container_statuses(pod).find_map(|container| waiting_problem(pod, container)))
        .or_else(|| container_statuses(pod).find_map(|container| ended_problem(pod, container)))
        .or_else(|| volume_problem(pod, events))
        .or_else(|| warned_problem(pod, events))
}

/// The newest warning about a pod, apart from those about its probes.
#[must_use]
pub fn latest_warning(events: &[Event]) -> Option<&Event> {
    let warnings = events.iter().filter(|event| event.type_.as_deref() == Some("Warning"));
    let told = warnings.filter(|event| event.reason.as_deref() != Some(UNHEALTHY));
    told.max_by_key(|event| last_observed(event))
}

/// What a waiting container's reason says; none if a container passes through it on its way.
#[must_use]
pub fn waiting_cause(reason: &str) -> Option<PodProblemCause> {
    match reason {
        "" | "ContainerCreating" | "PodInitializing" => None,
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some(PodProblemCause::Image),
        "CreateContainerConfigError" | "CreateContainerError" => Some(PodProblemCause::Configuration),
        "CrashLoopBackOff" | "RunContainerError" => Some(PodProblemCause::Crash),
        _ => Some(PodProblemCause::Other),
    }
}

/// What an Event says, without the part that repeats which object it is about.
#[must_use]
pub fn words(event: &Event) -> &str {
    let message = event.message.as_deref().unwrap_or("no details").trim();
    // Of the Job's and of the StatefulSet's controller.
    let refusal = message.strip_prefix("Error creating: ");
    refusal.or_else(|| Some(message.split_once(" failed error: ")?.1)).unwrap_or(message)
}

fn scheduling_problem(pod: &Pod) -> Option<PodProblem> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let unscheduled =
        conditions.find(|it| it.type_ == "PodScheduled" && it.status == "False" && it.reason.is_some())?;
    let detail = unscheduled.message.as_deref().or(unscheduled.reason.as_deref()).unwrap_or("no details");
    Some(PodProblem {
        cause: PodProblemCause::Unschedulable,
        message: format!("pod {} cannot be scheduled: {detail}", pod.name_any()),
        since: unscheduled.last_transition_time.as_ref().map(|time| time.0),
    })
}

fn waiting_problem(pod: &Pod, container: &ContainerStatus) -> Option<PodProblem> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    let cause = waiting_cause(reason)?;
    // The container says why it ended; the kubelet only that it ended.
    let ended = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let last_words = ended.and_then(|ended| ended.message.as_deref()).map(str::trim);
    let detail = last_words.filter(|text| !text.is_empty()).or(waiting.message.as_deref());
    let message = format!(
        "container {} of pod {} cannot start from image {}: {reason}: {}",
        container.name,
        pod.name_any(),
        container.image,
        detail.unwrap_or("no details")
    );
    Some(PodProblem { cause, message, since: None })
}

fn ended_problem(pod: &Pod, container: &ContainerStatus) -> Option<PodProblem> {
    let ended = container.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    let detail = ended.message.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let message = format!(
        "container {} of pod {} has ended with exit status {}: {}",
        container.name,
        pod.name_any(),
        ended.exit_code,
        detail.unwrap_or("its log says why")
    );
    Some(PodProblem { cause: PodProblemCause::Ended, message, since: None })
}

/// The kubelet reports a volume that it cannot mount in Events only. They stay when it was mounted in the end.
fn volume_problem(pod: &Pod, events: &[Event]) -> Option<PodProblem> {
    if has_started_container(pod) {
        return None;
    }
    let last = newest(events, &VOLUME_REASONS)?;
    Some(PodProblem {
        cause: PodProblemCause::VolumeNotMounted,
        message: format!("pod {} waits for a volume: {}", pod.name_any(), words(last)),
        since: None,
    })
}

/// Whatever else is reported in Events only, such as a pod whose network cannot be set up. A later Event of another kind, such
/// as a pulled image, says that it has passed.
fn warned_problem(pod: &Pod, events: &[Event]) -> Option<PodProblem> {
    let last = latest_warning(events).filter(|it| it.reason.as_deref() != Some(FAILED_SCHEDULING))?;
    let has_passed = events.iter().any(|event| last_observed(event) > last_observed(last));
    if has_passed || has_started_container(pod) {
        return None;
    }
    let reason = last.reason.as_deref().unwrap_or("Warning");
    Some(PodProblem {
        cause: PodProblemCause::Other,
        message: format!("pod {} does not start yet: {reason}: {}", pod.name_any(), words(last)),
        since: None,
    })
}

fn has_started_container(pod: &Pod) -> bool {
    container_statuses(pod).any(|container| container.state.as_ref().is_some_and(has_started))
}

/// The newest Event with one of the reasons.
fn newest<'a>(events: &'a [Event], reasons: &[&str]) -> Option<&'a Event> {
    let is_of = |event: &&Event| event.reason.as_deref().is_some_and(|reason| reasons.contains(&reason));
    events.iter().filter(is_of).max_by_key(|event| last_observed(event))
}

#[cfg(test)]
mod tests;
