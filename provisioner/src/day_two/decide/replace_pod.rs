//! The replacement of a pod: of exactly the one that existed when the stage began, known by its uid.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use pgops_api::names;
use pgops_api::opsrequest::DayTwo;

use super::start_obstacle::{refuse, start_obstacle};
use crate::day_two::facts::{Facts, State, Template};
use crate::day_two::plan::{Stage, blamed_stage};
use crate::day_two::step::Step;
use crate::next_pod::NextPod;
use crate::observation::ServerPod;
use crate::unready::Unready;

/// How long a pod may fail to start for a reason that may pass by itself, unless the request has a time limit.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);
/// The same for a reason that does not, or if what is put back ends the outage.
const SHORT_PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// How long a pod may take to stop, which does not count if there is no time limit: the server has 300 s for a clean shutdown.
const STOP: SignedDuration = SignedDuration::from_mins(5);
/// Reason of a wait: the API server cannot tell whether it would take the next pod.
const POD_NOT_CHECKED: &str = "PodNotChecked";
/// Stands for the uid of a pod that does not exist.
const NO_POD: &str = "none";

/// Replaces the pod; none if that is done.
pub fn restart(facts: &Facts) -> Option<Step> {
    match facts.state(Stage::Restart) {
        State::Done(_) | State::Failed(_) => None,
        State::NotBegun => Some(
            unmet_precondition(facts)
                .unwrap_or_else(|| Step::Begin { stage: Stage::Restart, message: begin_message(facts) }),
        ),
        State::Running(since, message) => Some(replace(facts, since, recorded_uid(message))),
    }
}

/// What keeps the first pod from being stopped, as far as it is known.
pub fn unmet_precondition(facts: &Facts) -> Option<Step> {
    if facts.template == Template::Behind {
        return Some(await_template());
    }
    match (start_obstacle(facts), &facts.next_pod) {
        (Some(obstacle), _) => Some(refuse(facts, obstacle)),
        (None, NextPod::Unavailable(words)) => Some(Step::waiting(POD_NOT_CHECKED, words.clone())),
        // What keeps the next pod from serving is an obstacle.
        (None, _) => None,
    }
}

/// Whether the step is the last before the pod is deleted, so that the API server has to be asked about the next one.
pub fn precedes_deletion(facts: &Facts, step: &Step) -> bool {
    // Without a pod there is nothing to lose. A policy may refuse every pod that the provisioner itself would create.
    let counts = facts.pod().is_some() && !facts.database.overrides_guards();
    counts && matches!(step, Step::Begin { stage: Stage::Restart, .. })
}

/// A pod that is created before the StatefulSet's controller has seen the template is made from the previous one.
pub fn await_template() -> Step {
    Step::waiting(
        "StatefulSetNotSeen",
        "the controller of StatefulSets has not seen the present template of the database: does kube-controller-manager run?",
    )
}

/// The message that records which pod is replaced.
fn begin_message(facts: &Facts) -> String {
    let name = names::pod(&facts.database.name_any(), 0);
    format!("replacing pod {name} (uid {})", facts.pod().map_or(NO_POD, |pod| pod.uid.as_str()))
}

fn recorded_uid(message: &str) -> Option<&str> {
    message.split_once("(uid ")?.1.split_once(')').map(|(uid, _)| uid)
}

/// Whether this is another pod than the one that existed when the stage began.
pub fn is_replacement(facts: &Facts, pod: &ServerPod) -> bool {
    match facts.state(Stage::Restart) {
        State::NotBegun | State::Failed(_) => false,
        State::Running(_, message) => recorded_uid(message) != Some(pod.uid.as_str()),
        State::Done(_) => true,
    }
}

fn replace(facts: &Facts, since: Timestamp, recorded: Option<&str>) -> Step {
    match facts.pod() {
        Some(pod) if pod.is_being_deleted => await_pod(facts, since),
        Some(pod) if Some(pod.uid.as_str()) == recorded || pod.is_outdated => Step::DeletePod,
        Some(pod) if pod.is_ready() => {
            Step::completed(Stage::Restart, format!("pod {} was replaced and is ready", pod.name))
        }
        _ => await_pod(facts, since),
    }
}

/// Waits for the pod, unless that takes too long. What the request has changed is to blame then.
fn await_pod(facts: &Facts, since: Timestamp) -> Step {
    let created = facts.pod().and_then(|pod| pod.created).map_or(since, |created| created.max(since));
    let problem = facts.running.unready.as_ref();
    let patience = problem.and_then(|problem| patience(facts, problem));
    // Only what keeps the next pod from starting counts, and not how long the last one took to stop; but one that is created
    // again and again does not start either.
    let is_over = facts.is_over(since, patience.map(|patience| STOP + patience))
        || (facts.time_limit().is_none() && facts.is_over(created, patience));
    if !is_over {
        let problem = problem.filter(|_| !facts.has_just_begun(created));
        return problem
            .map_or(Step::Wait(None), |problem| Step::waiting(problem.reason, problem.message.clone()));
    }
    let (reason, message) = words(facts);
    Step::Fail { stage: blamed_stage(facts.operation).unwrap_or(Stage::Restart), reason, message }
}

/// How long the problem is waited for by itself, unless the request has a time limit.
fn patience(facts: &Facts, problem: &Unready) -> Option<SignedDuration> {
    let certificate = facts.running.instance.as_ref().and_then(|instance| instance.certificate.as_ref());
    match problem.reason {
        "ImageNotPulled" | "ContainerNotStarted" => Some(SHORT_PATIENCE),
        // The previous resources have a place, which the present ones only get if another node is added.
        "PodUnschedulable" if facts.operation == DayTwo::VerticalScaling => Some(SHORT_PATIENCE),
        // The server is not started before its certificate can be used.
        "NotReady" if certificate.is_some_and(|it| it.problem.is_some()) => Some(PATIENCE),
        // The server is recovering, or will say why it cannot.
        "NotReady" => None,
        _ => Some(PATIENCE),
    }
}

/// Why the pod does not come up, as a reason and a message.
pub fn words(facts: &Facts) -> (String, String) {
    if let Some(problem) = &facts.running.unready {
        return (problem.reason.to_owned(), problem.message.clone());
    }
    let pod = names::pod(&facts.database.name_any(), 0);
    let timeout = facts.request.spec.timeout.as_deref().unwrap_or("the time limit");
    ("PodNotReady".to_owned(), format!("pod {pod} did not become ready within {timeout}"))
}
