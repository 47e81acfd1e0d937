//! What the metrics say of a request, from what was observed of it.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use pgops_api::opsrequest::{CONDITION_ACKNOWLEDGED, CONDITION_FAILED, CONDITION_SUCCESSFUL, Phase};
use pgops_api::progress::{OutageProgress, failed_attempts};
use pgops_api::{PostgresOpsRequest, condition};
use pgops_kube::observed::container_statuses;

use super::action::Action;
use super::job_state;
use super::state::{State, has_finalizer};
use super::waiting;
use crate::metrics::{RequestEnd, RequestProgress};

/// The progress of the request, if it has not ended.
pub fn of(state: &State) -> Option<RequestProgress> {
    let request = &state.request;
    if !request.is_active() {
        return None;
    }
    let status = request.status.as_ref();
    let job = state.job.as_ref();
    let created = job.and_then(ResourceExt::creation_timestamp).map(|time| time.0);
    Some(RequestProgress {
        namespace: request.namespace().unwrap_or_default(),
        request: request.name_any(),
        database: request.spec.database_ref.name.clone(),
        started: created.filter(|_| state.is_progressing()),
        step: status.and_then(|status| status.step.as_deref()?.parse().ok()),
        failed_attempts: failed_attempts(request.conditions()),
        worker_restarts: worker_restarts(state),
        outage: status.and_then(|status| status.outage.as_deref()?.parse().ok()).unwrap_or_default(),
        waiting: waiting::of(request)
            .map(|waiting| (waiting.reason.clone().unwrap_or_default(), waiting.last_transition_time.0)),
    })
}

/// How often a pod of the Job, or a container of a pod that exists, was replaced.
fn worker_restarts(state: &State) -> u32 {
    let pods = state.job.as_ref().map_or(0, job_state::failures);
    let containers = state.pods.iter().flat_map(container_statuses).map(|container| container.restart_count);
    containers.chain([pods]).fold(0_u32, |sum, number| sum.saturating_add(u32::try_from(number).unwrap_or(0)))
}

/// The end of the request, if the action is the last one for it. It is counted then and not when the status says so: a
/// launcher that was away at that time takes this action later.
pub fn end(state: &State, action: &Action) -> Option<RequestEnd> {
    let request = &state.request;
    let result = match action {
        Action::RemoveFinalizer => Some(request.phase()).filter(|phase| phase.is_terminal()),
        // Of another one the finalizer is still removed.
        Action::Deny { .. } => Some(Phase::Denied).filter(|_| !has_finalizer(request)),
        Action::Fail { .. } => Some(Phase::Failed).filter(|_| !has_finalizer(request)),
        Action::Succeed { .. } => Some(Phase::Successful).filter(|_| !has_finalizer(request)),
        _ => None,
    }?;
    let outage: Option<OutageProgress> =
        request.status.as_ref().and_then(|status| status.outage.as_deref()?.parse().ok());
    Some(RequestEnd {
        result,
        scope: request.scope(),
        duration: duration(request),
        outage: outage.filter(|outage| outage.since.is_none()).and_then(|outage| outage.ended),
    })
}

/// From the acknowledgement to the end that the conditions record.
fn duration(request: &PostgresOpsRequest) -> Option<SignedDuration> {
    let time = |type_: &str| -> Option<Timestamp> {
        condition::find(request.conditions(), type_).map(|found| found.last_transition_time.0)
    };
    let ended = time(CONDITION_SUCCESSFUL).or_else(|| time(CONDITION_FAILED))?;
    Some(ended.duration_since(time(CONDITION_ACKNOWLEDGED)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::pods::failed;
    use crate::launcher::fixtures::{StateBuilder, at, jobs};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use pgops_api::Condition;
    use pgops_api::plan::Scope;
    use pgops_api::progress::retry_message;

    fn add_condition(state: &mut State, type_: &str, second: i64) {
        let condition = Condition::new(type_, "True", type_, "", Time(at(second)));
        state.request.status.get_or_insert_default().conditions.push(condition);
    }

    #[test]
    fn progress_of_a_running_request_is_read_from_status_and_job() {
        let mut state = StateBuilder::new()
            .progressing()
            .step("7/16 PgUpgraded")
            .job(jobs::between_pods())
            .pod(failed(10, 1, "killed"))
            .build();
        let status = state.request.status.get_or_insert_default();
        status.outage = Some("since 1970-01-01T00:15:00Z".to_owned());
        let retry = retry_message(1, "no answer");
        status.conditions.push(Condition::new("PgUpgraded", "Unknown", "InProgress", retry, Time(at(900))));
        let progress = of(&state).unwrap();
        assert_eq!((progress.namespace.as_str(), progress.database.as_str()), ("demo", "orders"));
        assert_eq!(progress.started, Some(at(600)));
        assert_eq!(progress.step.map(|step| step.name).as_deref(), Some("PgUpgraded"));
        assert_eq!(progress.outage, OutageProgress { ended: None, since: Some(at(900)) });
        assert_eq!((progress.failed_attempts, progress.worker_restarts), (1, 1));
    }

    #[test]
    fn waiting_request_has_not_started() {
        let progress = of(&StateBuilder::new().waits("Blocked", 900).held_job().build()).unwrap();
        assert_eq!(progress.started, None);
        assert_eq!(progress.waiting, Some(("Blocked".to_owned(), at(900))));
        assert_eq!(of(&StateBuilder::new().phase(Phase::Failed).build()), None);
    }

    #[test]
    fn request_with_a_finalizer_ends_when_that_is_removed() {
        let mut state = StateBuilder::new().phase(Phase::Successful).finalizer().build();
        add_condition(&mut state, CONDITION_ACKNOWLEDGED, 100);
        add_condition(&mut state, CONDITION_SUCCESSFUL, 190);
        state.request.status.get_or_insert_default().outage = Some("5.6s".to_owned());
        let expected = RequestEnd {
            result: Phase::Successful,
            scope: Scope::Upgrade,
            duration: Some(SignedDuration::from_secs(90)),
            outage: Some(5.6),
        };
        assert_eq!(end(&state, &Action::RemoveFinalizer), Some(expected));
        assert_eq!(end(&state, &Action::Release), None);
        state.request.status.get_or_insert_default().outage = Some("since 1970-01-01T00:15:00Z".to_owned());
        assert_eq!(end(&state, &Action::RemoveFinalizer).unwrap().outage, None);
    }

    #[test]
    fn request_is_counted_once() {
        let fail = Action::Fail { reason: "JobFailed".into(), message: "why".into() };
        let pending = StateBuilder::new().build();
        assert_eq!(end(&pending, &fail).unwrap().result, Phase::Failed);
        let running = StateBuilder::new().progressing().build();
        assert_eq!(end(&running, &fail), None);
        // It was deleted before it had a result.
        assert_eq!(end(&running, &Action::RemoveFinalizer), None);
    }
}
