//! The claim on a database: the one request that may change it, and the one Job that may work for it.
//!
//! It is an annotation of the `Postgres`. Each write of it is conditioned on the `resourceVersion` that was
//! read, so of two launchers that both found the database free the API server lets one through. A Job is
//! created suspended and starts only when the claim names it by its uid; the claim names another Job only
//! when the previous one is deleted or has ended, with all its pods. So whatever a launcher does that was
//! suspended halfway and resumes later, with or without the lease, no two Jobs work on one database.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use pgops_api::names::{ANNOTATION_CLAIM, LABEL_REQUEST};
use pgops_api::{Claim, Postgres, PostgresOpsRequest};
use pgops_kube::lost_pod;

use super::job_state::{self, JobState};
use super::pods;
use super::state::State;

/// Whether a request holds its database, or may.
#[derive(Debug, Eq, PartialEq)]
pub enum ClaimStatus {
    /// The request holds the database.
    Ours,
    /// The request may claim the database.
    Free,
    /// The request must wait, for the reason in this message.
    Taken(String),
}

/// The claim of a request, which allows this Job to work.
pub fn of(request: &PostgresOpsRequest, job: Option<&Job>) -> Claim {
    Claim::of(request, job.and_then(ResourceExt::uid))
}

/// Uid of the request that holds the database.
pub fn holder(database: &Postgres) -> Option<String> {
    Claim::on(database).ok().flatten().map(|claim| claim.uid)
}

/// Whether the claim names exactly this Job.
pub fn names_job(state: &State, job: &Job) -> bool {
    let claim = state.database.as_ref().and_then(|database| Claim::on(database).ok().flatten());
    claim.is_some_and(|claim| claim.job.is_some() && claim.job == job.uid())
}

/// Whether the request holds its database.
pub fn is_held_by_request(state: &State) -> bool {
    let holder = state.database.as_ref().and_then(holder);
    holder.is_some() && holder == state.request.uid()
}

/// Whether the request holds its database, or may. A claim that was lost, because a user removed it, changes
/// nothing for other requests as long as a Job of its request or one of that Job's pods may still act.
pub fn status(state: &State) -> ClaimStatus {
    if let Some(worker) = other_active_worker(state) {
        let message = waiting_for(state, &worker);
        let mut live = state.other_pods.iter().filter(|pod| pods::is_alive(pod));
        let lost = live.find_map(|pod| lost_pod(pod, state.now));
        return ClaimStatus::Taken(match lost {
            Some(lost) => format!("{message}; {lost}"),
            None => message,
        });
    }
    let claim = match state.database.as_ref().map_or(Ok(None), Claim::on) {
        Ok(Some(claim)) => claim,
        Ok(None) => return ClaimStatus::Free,
        Err(text) => {
            return ClaimStatus::Taken(format!(
                "{} has an annotation {ANNOTATION_CLAIM} that pgops did not write (\"{text}\"): remove it",
                state.database_key()
            ));
        }
    };
    if Some(&claim.uid) == state.request.metadata.uid.as_ref() {
        return ClaimStatus::Ours;
    }
    let Claim { request, uid, .. } = claim;
    let phase = match state.phases.get(&uid) {
        None => return ClaimStatus::Free,
        Some(Some(phase)) if phase.is_terminal() => return ClaimStatus::Free,
        Some(Some(phase)) => format!("{phase:?}"),
        Some(None) => "of an API that this pgops does not know".to_owned(),
    };
    ClaimStatus::Taken(waiting_for(state, &format!("PostgresOpsRequest {request} ({phase})")))
}

/// Message of a request that waits for another request, or for the worker of one.
pub fn waiting_for(state: &State, blocker: &str) -> String {
    format!("waiting for {blocker} on {} to end", state.database_key())
}

/// A Job of another request that may still act on the database, or a pod whose Job is deleted.
fn other_active_worker(state: &State) -> Option<String> {
    let may_act = |job: &&Job| match job_state::of(job) {
        JobState::Active => true,
        JobState::Held => names_job(state, job),
        JobState::Withdrawn(_) | JobState::Complete | JobState::Failed(_) => false,
    };
    if let Some(job) = state.other_jobs.iter().find(may_act) {
        let request =
            job.annotations().get(LABEL_REQUEST).map(|name| format!(" of PostgresOpsRequest {name}"));
        return Some(format!("job {}{}", job.name_any(), request.unwrap_or_default()));
    }
    let pod = state.other_pods.iter().find(|pod| pods::is_alive(pod))?;
    Some(format!("pod {} of another upgrade", pod.name_any()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{StateBuilder, UID, jobs, parse, pods};
    use pgops_api::opsrequest::Phase;
    use rstest::rstest;
    use serde_json::json;

    const OTHER_JOB: &str = "other-job";

    /// The active Job of the request `orders-15`.
    fn other_job() -> Job {
        let mut job = jobs::named(jobs::active(), "orders-15-77", OTHER_JOB);
        job.metadata.annotations = Some([(LABEL_REQUEST.to_owned(), "orders-15".to_owned())].into());
        job
    }

    fn claimed_by_other() -> StateBuilder {
        StateBuilder::new().claimed_by("other", Some(OTHER_JOB))
    }

    #[test]
    fn claim_tells_its_holder_and_its_job() {
        let ours = StateBuilder::new().claimed_by(UID, Some(jobs::OWN_UID)).build();
        assert_eq!(status(&ours), ClaimStatus::Ours);
        assert!(is_held_by_request(&ours) && !is_held_by_request(&claimed_by_other().build()));
        let mut job = jobs::idle();
        job.metadata.uid = None;
        assert!(!names_job(&StateBuilder::new().claimed_by(UID, None).build(), &job));
        job.metadata.uid = Some(jobs::OWN_UID.into());
        assert!(names_job(&ours, &job));
        assert!(!names_job(&StateBuilder::new().claimed_by(UID, Some("an-earlier-one")).build(), &job));
    }

    #[rstest]
    #[case::no_claim(StateBuilder::new(), true)]
    #[case::holder_deleted(claimed_by_other(), true)]
    #[case::holder_ended(claimed_by_other().phase_of("other", Some(Phase::Failed)), true)]
    #[case::holder_pending(claimed_by_other().phase_of("other", Some(Phase::Pending)), false)]
    #[case::holder_unreadable(claimed_by_other().phase_of("other", None), false)]
    #[case::foreign_annotation(StateBuilder::new().claim_annotation("mine!"), false)]
    fn database_is_free_unless_its_holder_is_active(#[case] state: StateBuilder, #[case] free: bool) {
        let status = status(&state.build());
        assert_eq!(status == ClaimStatus::Free, free, "{status:?}");
    }

    // Even if the holder is deleted or has ended, its Job must end first; also if its claim was removed.
    #[rstest]
    #[case::job_active(claimed_by_other().other_job(other_job()), false)]
    #[case::job_ended(claimed_by_other().other_job(jobs::named(jobs::complete(), "x", "x")), true)]
    #[case::job_held_and_named(claimed_by_other().other_job(jobs::named(jobs::held(), "x", OTHER_JOB)), false)]
    #[case::job_held_and_not_named(claimed_by_other().other_job(jobs::named(jobs::held(), "x", "x")), true)]
    #[case::pod_alive(claimed_by_other().other_pod(pods::running(900)), false)]
    #[case::pod_ended(claimed_by_other().other_pod(pods::ended(900)), true)]
    fn database_is_free_only_if_no_worker_can_act(#[case] state: StateBuilder, #[case] free: bool) {
        let status = status(&state.build());
        assert_eq!(status == ClaimStatus::Free, free, "{status:?}");
    }

    #[test]
    fn lost_claim_does_not_let_a_second_job_work() {
        let lost = StateBuilder::new().other_job(other_job()).build();
        let ClaimStatus::Taken(message) = status(&lost) else { panic!("free") };
        assert!(message.contains("job orders-15-77 of PostgresOpsRequest orders-15"), "{message}");
        let lost = StateBuilder::new().other_pod(pods::on_lost_node(pods::started(900))).build();
        let ClaimStatus::Taken(message) = status(&lost) else { panic!("free") };
        assert!(message.contains("on node node-1, which is not Ready"), "{message}");
        // Not even that of the request that holds the database now.
        let ours = StateBuilder::new().claimed_by(UID, None).other_job(other_job()).build();
        assert!(matches!(status(&ours), ClaimStatus::Taken(_)));
    }

    #[test]
    fn claim_survives_the_round_trip_through_the_annotation() {
        let state = StateBuilder::new().build();
        let claim = of(&state.request, Some(&jobs::named(jobs::idle(), "x", "j")));
        let database: Postgres = parse(json!({
            "metadata": { "name": "orders", "annotations": {
                ANNOTATION_CLAIM: serde_json::to_string(&claim).unwrap(),
            }},
            "spec": { "version": "13.16" },
        }));
        assert_eq!(Claim::on(&database), Ok(Some(claim)));
    }
}
