//! The claim on a database: the one request that may upgrade it, and the one Job that may work for it.
//!
//! It is an annotation of the `Postgres`. Each write of it names the version of the object that was
//! read, so of two launchers that both found it free the API server lets one through. A Job is made
//! suspended and begins only when the claim names it by its uid; the claim names another only when the
//! Job that it named is gone or over, with all its pods. So whatever a launcher does that was stopped
//! half way and goes on later, with or without the lease, no two Jobs work on one database.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use pgops_api::names::{ANNOTATION_CLAIM, LABEL_REQUEST};
use pgops_api::{Postgres, PostgresOpsRequest};
use serde::{Deserialize, Serialize};

use super::job::{self, JobState};
use super::pods;
use super::world::World;

/// Who holds a database, as JSON in its annotation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claim {
    /// Name of the request, for people.
    pub request: String,
    /// Uid of the request.
    pub uid: String,
    /// Uid of the Job that may work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// What a request may do about the claim on its database.
#[derive(Debug, Eq, PartialEq)]
pub enum Standing {
    /// It holds the database.
    Ours,
    /// It may take the database.
    Free,
    /// It must wait, for what this says.
    Taken(String),
}

impl Claim {
    /// The claim of a request, by which this Job may work.
    pub fn of(request: &PostgresOpsRequest, job: Option<&Job>) -> Self {
        Self {
            request: request.name_any(),
            uid: request.uid().unwrap_or_default(),
            job: job.and_then(ResourceExt::uid),
        }
    }

    /// The claim on the database, if there is one; an error has the annotation that is none.
    fn on(database: &Postgres) -> Result<Option<Self>, &str> {
        let Some(text) = database.annotations().get(ANNOTATION_CLAIM) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|_| text.as_str())
    }
}

/// Uid of the request that holds the database.
pub fn holder(database: &Postgres) -> Option<String> {
    Claim::on(database).ok().flatten().map(|claim| claim.uid)
}

/// Whether the claim names this very Job.
pub fn names(world: &World, job: &Job) -> bool {
    let claim = world.database.as_ref().and_then(|database| Claim::on(database).ok().flatten());
    claim.is_some_and(|claim| claim.job.is_some() && claim.job == job.uid())
}

/// Whether the request holds its database.
pub fn is_held(world: &World) -> bool {
    let holder = world.database.as_ref().and_then(holder);
    holder.is_some() && holder == world.request.uid()
}

/// What the request may do about the claim. A claim that was lost, because somebody removed it, changes
/// nothing for the others as long as a Job of its request or a pod of that may still act.
pub fn standing(world: &World) -> Standing {
    if let Some(job) = other_at_work(world) {
        return Standing::Taken(waits_for(world, &job));
    }
    let claim = match world.database.as_ref().map_or(Ok(None), Claim::on) {
        Ok(Some(claim)) => claim,
        Ok(None) => return Standing::Free,
        Err(text) => {
            return Standing::Taken(format!(
                "{} has an annotation {ANNOTATION_CLAIM} that no pgops wrote (\"{text}\"): remove it",
                world.place()
            ));
        }
    };
    if Some(&claim.uid) == world.request.metadata.uid.as_ref() {
        return Standing::Ours;
    }
    let Claim { request, uid, .. } = claim;
    let how = match world.phases.get(&uid) {
        None => return Standing::Free,
        Some(Some(phase)) if phase.is_terminal() => return Standing::Free,
        Some(Some(phase)) => format!("{phase:?}"),
        Some(None) => "of an API that this pgops does not know".to_owned(),
    };
    Standing::Taken(waits_for(world, &format!("PostgresOpsRequest {request} ({how})")))
}

/// What a request is told that waits for another, or for what is left of one.
pub fn waits_for(world: &World, who: &str) -> String {
    format!("waits until {who} on {} has ended", world.place())
}

/// A Job of another request that may still act on the database, or the pod of one that is gone.
fn other_at_work(world: &World) -> Option<String> {
    let acts = |job: &&Job| match job::state(job) {
        JobState::Active => true,
        JobState::Held => names(world, job),
        JobState::Withdrawn(_) | JobState::Complete | JobState::Failed(_) => false,
    };
    if let Some(job) = world.other_jobs.iter().find(acts) {
        let request =
            job.annotations().get(LABEL_REQUEST).map(|name| format!(" of PostgresOpsRequest {name}"));
        return Some(format!("job {}{}", job.name_any(), request.unwrap_or_default()));
    }
    let pod = world.other_pods.iter().find(|pod| pods::is_alive(pod))?;
    Some(format!("pod {} of another upgrade", pod.name_any()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{UID, job, parse, pod, world};
    use pgops_api::opsrequest::Phase;
    use rstest::rstest;
    use serde_json::json;

    fn claimed(text: &str) -> World {
        let mut world = world();
        let database = world.database.as_mut().unwrap();
        database.metadata.annotations = Some([(ANNOTATION_CLAIM.to_owned(), text.to_owned())].into());
        world
    }

    fn by(uid: &str, job: Option<&str>) -> World {
        let claim = Claim { request: "orders-15".into(), uid: uid.into(), job: job.map(Into::into) };
        claimed(&serde_json::to_string(&claim).unwrap())
    }

    /// The Job of another request.
    fn other_job(status: serde_json::Value) -> Job {
        let mut job = job(status);
        job.metadata.name = Some("orders-15-77".into());
        job.metadata.uid = Some("other-job".into());
        job.metadata.annotations = Some([(LABEL_REQUEST.to_owned(), "orders-15".to_owned())].into());
        job
    }

    fn held(mut job: Job) -> Job {
        job.spec.as_mut().unwrap().suspend = Some(true);
        job.annotations_mut().insert(job::ANNOTATION_HELD.into(), "true".into());
        job
    }

    #[test]
    fn the_holder_knows_its_claim_and_its_job() {
        let ours = by(UID, Some("own-job"));
        assert_eq!(standing(&ours), Standing::Ours);
        assert!(is_held(&ours) && !is_held(&by("other", None)));
        let mut job = job(json!({}));
        assert!(!names(&by(UID, None), &job));
        job.metadata.uid = Some("own-job".into());
        assert!(names(&ours, &job) && !names(&by(UID, Some("an-earlier-one")), &job));
    }

    #[rstest]
    #[case::nobody(world(), true)]
    #[case::gone(by("other", Some("other-job")), true)]
    #[case::ended({ let mut w = by("other", None); w.phases.insert("other".into(), Some(Phase::Failed)); w }, true)]
    #[case::pending({ let mut w = by("other", None); w.phases.insert("other".into(), Some(Phase::Pending)); w }, false)]
    #[case::unreadable({ let mut w = by("other", None); w.phases.insert("other".into(), None); w }, false)]
    #[case::no_claim_of_ours(claimed("mine!"), false)]
    fn a_database_is_free_unless_its_holder_lives(#[case] world: World, #[case] free: bool) {
        assert_eq!(standing(&world) == Standing::Free, free, "{:?}", standing(&world));
    }

    // Gone or ended, the holder's Job comes first, and so does one whose claim somebody removed.
    #[rstest]
    #[case::job_at_work(|w: &mut World| w.other_jobs = vec![other_job(json!({ "active": 1 }))], false)]
    #[case::job_over(|w: &mut World| w.other_jobs = vec![other_job(json!({
        "conditions": [{ "type": "Complete", "status": "True" }],
    }))], true)]
    #[case::job_held_and_named(|w: &mut World| w.other_jobs = vec![held(other_job(json!({})))], false)]
    #[case::job_held_and_not_named(|w: &mut World| {
        let mut job = held(other_job(json!({})));
        job.metadata.uid = Some("never-named".into());
        w.other_jobs = vec![job];
    }, true)]
    #[case::pod_alive(|w: &mut World| w.other_pods = vec![pod(900, json!({ "phase": "Running" }))], false)]
    #[case::pod_ended(|w: &mut World| w.other_pods = vec![pod(900, json!({ "phase": "Failed" }))], true)]
    fn a_database_is_free_only_when_no_worker_can_act(#[case] change: fn(&mut World), #[case] free: bool) {
        let mut gone = by("other", Some("other-job"));
        change(&mut gone);
        assert_eq!(standing(&gone) == Standing::Free, free, "{:?}", standing(&gone));
    }

    #[test]
    fn a_lost_claim_does_not_let_a_second_job_work() {
        let mut lost = world();
        lost.other_jobs = vec![other_job(json!({ "active": 1 }))];
        let Standing::Taken(why) = standing(&lost) else { panic!("free") };
        assert!(why.contains("job orders-15-77 of PostgresOpsRequest orders-15"), "{why}");
        // Not even that of the request that holds the database now.
        let mut ours = by(UID, None);
        ours.other_jobs = lost.other_jobs;
        assert!(matches!(standing(&ours), Standing::Taken(_)));
    }

    #[test]
    fn a_claim_survives_its_way_through_the_annotation() {
        let world = world();
        let mut job = job(json!({}));
        job.metadata.uid = Some("j".into());
        let claim = Claim::of(&world.request, Some(&job));
        let database: Postgres = parse(json!({
            "metadata": { "name": "orders", "annotations": {
                ANNOTATION_CLAIM: serde_json::to_string(&claim).unwrap(),
            }},
            "spec": { "version": "13.16" },
        }));
        assert_eq!(Claim::on(&database), Ok(Some(claim)));
    }
}
