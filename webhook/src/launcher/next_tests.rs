use super::*;
use crate::launcher::fixtures::{UID, at, claim, job, parse, pod, request, world};
use pgops_api::names::REQUEST_FINALIZER;
use pgops_api::opsrequest::{Apply, PostgresOpsRequestStatus};
use pgops_api::{Condition, PgVersion};
use rstest::rstest;
use serde_json::{Value, json};
use std::sync::Arc;

/// The action's name, and what it says.
fn kind(action: &Action) -> (&'static str, String) {
    let both = |reason: &str, message: &str| format!("{reason}: {message}");
    match action {
        Action::Nothing => ("Nothing", String::new()),
        Action::LookAgain(_) => ("LookAgain", String::new()),
        Action::Acknowledge { from } => ("Acknowledge", from.clone()),
        Action::Wait { reason, message } => ("Wait", both(reason, message)),
        Action::Deny { reason, message } => ("Deny", both(reason, message)),
        Action::Claim(claim) => ("Claim", claim.job.clone().unwrap_or_default()),
        Action::Start => ("Start", String::new()),
        Action::RemoveJob => ("RemoveJob", String::new()),
        Action::CarryOn => ("CarryOn", String::new()),
        Action::Forget { why } => ("Forget", why.clone().unwrap_or_default()),
        Action::Release => ("Release", String::new()),
        Action::Launch(worker) => ("Launch", worker.plan.from.image.clone()),
        Action::Progress => ("Progress", String::new()),
        Action::Withdraw(it) => ("Withdraw", both(&it.reason, &it.message)),
        Action::Resume => ("Resume", String::new()),
        Action::Warn { reason, message } => ("Warn", both(reason, message)),
        Action::Fail { reason, message } => ("Fail", both(reason, message)),
        Action::Succeed => ("Succeed", String::new()),
        Action::RemoveFinalizer => ("RemoveFinalizer", String::new()),
    }
}

fn phase(world: &mut World, phase: Phase) {
    world.request.status.get_or_insert_default().phase = Some(phase);
}

fn keep(world: &mut World) {
    world.request.metadata.finalizers = Some(vec![REQUEST_FINALIZER.into()]);
}

/// The request holds the database.
fn hold(world: &mut World) {
    keep(world);
    claim(world, UID, None);
}

/// There is its Job, made and not let go; `named` is the one that the claim names.
fn made(world: &mut World, named: Option<&str>) {
    keep(world);
    claim(world, UID, named);
    let mut job = job(json!({}));
    job.metadata.uid = Some("own-job".into());
    job.metadata.annotations = Some([(job::ANNOTATION_HELD.into(), "true".into())].into());
    job.spec.as_mut().unwrap().suspend = Some(true);
    world.job = Some(job);
}

fn delete(world: &mut World) {
    world.request.metadata.deletion_timestamp = Some(parse(json!("1970-01-01T00:15:00Z")));
}

fn say(world: &mut World, annotation: &str) {
    let annotations = world.request.metadata.annotations.get_or_insert_default();
    annotations.insert(annotation.to_owned(), "true".to_owned());
}

fn cancel(world: &mut World) {
    say(world, pgops_api::names::ANNOTATION_CANCEL);
}

/// The request has failed while its database was paused by it, and a person wants it to go on.
fn carry_on(world: &mut World) {
    phase(world, Phase::Failed);
    pause(world, UID);
    say(world, pgops_api::names::ANNOTATION_RESUME);
}

fn delete_database(world: &mut World) {
    let database = world.database.as_mut().unwrap();
    database.metadata.deletion_timestamp = Some(parse(json!("1970-01-01T00:15:00Z")));
}

/// Its Job has failed, and somebody deletes it.
fn delete_job(world: &mut World) {
    let mut job = job(over("Failed"));
    job.metadata.deletion_timestamp = Some(parse(json!("1970-01-01T00:15:00Z")));
    world.job = Some(job);
}

/// At work, as far as the request is concerned.
fn work(world: &mut World) {
    phase(world, Phase::Progressing);
    keep(world);
}

fn pause(world: &mut World, uid: &str) {
    let message = format!("paused by PostgresOpsRequest x (uid {uid}) for the upgrade a to b");
    let paused = Condition::new("Paused", "True", "Paused", message, parse(json!("1970-01-01T00:12:00Z")));
    world.database.as_mut().unwrap().status.as_mut().unwrap().conditions.push(paused);
}

fn database_phase(world: &mut World, phase: &str) {
    world.database.as_mut().unwrap().status.as_mut().unwrap().phase = Some(parse(json!(phase)));
}

fn other(name: &str, created: &str, phase: Phase) -> Arc<pgops_api::PostgresOpsRequest> {
    let mut other = request(name);
    other.metadata.uid = Some(name.into());
    other.metadata.creation_timestamp = Some(parse(json!(created)));
    other.status.as_mut().unwrap().phase = Some(phase);
    Arc::new(other)
}

fn over(type_: &str) -> Value {
    json!({ "conditions": [{ "type": type_, "status": "True", "reason": "Why", "message": "because" }] })
}

fn waiting(reason: &str) -> Value {
    json!({ "phase": "Pending", "containerStatuses": [{
        "name": "runner", "image": "postgres:17.11", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "waiting": { "reason": reason } },
    }]})
}

fn ended(code: i32, words: &str) -> Value {
    json!({ "phase": "Failed", "containerStatuses": [{
        "name": "runner", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "terminated": { "exitCode": code, "message": words } },
    }]})
}

fn withdrawn(world: &mut World) {
    let mut job = job(json!({}));
    let mark = Withdrawal { reason: "WorkerImage".into(), message: "no such image".into() };
    job.metadata.annotations =
        Some([(job::ANNOTATION_WITHDRAWN.into(), serde_json::to_string(&mark).unwrap())].into());
    job.spec.as_mut().unwrap().suspend = Some(true);
    world.job = Some(job);
    work(world);
}

// What is not ours, and what is over.
#[rstest]
#[case::other_operation(|w: &mut World| w.request.spec.type_ = pgops_api::opsrequest::RequestType::Restart, "Nothing")]
#[case::unapproved(|w: &mut World| phase(w, Phase::WaitingForApproval), "Nothing")]
#[case::over(|w: &mut World| phase(w, Phase::Successful), "Nothing")]
#[case::over_and_kept(|w: &mut World| { phase(w, Phase::Successful); keep(w); }, "RemoveFinalizer")]
#[case::over_with_its_job(|w: &mut World| {
    phase(w, Phase::Failed);
    keep(w);
    w.job = Some(job(over("Failed")));
}, "RemoveFinalizer")]
#[case::over_and_claimed(|w: &mut World| { phase(w, Phase::Successful); hold(w); }, "Release")]
#[case::over_and_claimed_by_the_next(|w: &mut World| {
    phase(w, Phase::Successful);
    keep(w);
    claim(w, "next", None);
}, "RemoveFinalizer")]
#[case::over_beside_a_live_pod(|w: &mut World| {
    phase(w, Phase::Failed);
    hold(w);
    w.pods = vec![pod(900, json!({ "phase": "Running" }))];
}, "LookAgain")]
#[case::over_and_deleted_beside_a_pod_that_never_ends(|w: &mut World| {
    phase(w, Phase::Failed);
    hold(w);
    delete(w);
    w.pods = vec![pod(900, json!({ "phase": "Running" }))];
}, "RemoveFinalizer")]
#[case::over_but_its_job_still_works(|w: &mut World| {
    phase(w, Phase::Successful);
    keep(w);
    w.job = Some(job(json!({ "active": 1 })));
}, "Nothing")]
#[case::withdrawn_and_over(|w: &mut World| { withdrawn(w); phase(w, Phase::Failed); }, "RemoveFinalizer")]
// Over, and to go on.
#[case::to_go_on(|w: &mut World| { carry_on(w); w.job = Some(job(over("Failed"))); }, "RemoveJob")]
#[case::to_go_on_before_it_left_the_database(|w: &mut World| {
    carry_on(w);
    hold(w);
    w.job = Some(job(over("Complete")));
}, "RemoveJob")]
#[case::to_go_on_beside_its_job(|w: &mut World| { carry_on(w); w.job = Some(job(json!({ "active": 1 }))); }, "Nothing")]
#[case::to_go_on_beside_a_live_pod(|w: &mut World| {
    carry_on(w);
    w.pods = vec![pod(900, json!({ "phase": "Running" }))];
}, "LookAgain")]
#[case::to_go_on_once_its_job_is_gone(|w: &mut World| { carry_on(w); delete_job(w); }, "Nothing")]
#[case::to_go_on_without_a_job(carry_on, "CarryOn")]
#[case::to_go_on_and_at_work(|w: &mut World| { carry_on(w); work(w); }, "Forget")]
#[case::to_go_on_and_deleted(|w: &mut World| { carry_on(w); hold(w); delete(w); }, "Release")]
#[case::to_go_on_and_the_pause_is_another_s(|w: &mut World| {
    phase(w, Phase::Failed);
    pause(w, "other");
    say(w, pgops_api::names::ANNOTATION_RESUME);
}, "Forget")]
#[case::to_go_on_and_the_database_is_deleted(|w: &mut World| { carry_on(w); delete_database(w); }, "Forget")]
#[case::to_go_on_and_no_job_can_be_made(|w: &mut World| {
    carry_on(w);
    w.job = Some(job(over("Failed")));
    w.request.status.as_mut().unwrap().from = Some("13.1".into());
}, "Forget")]
#[case::to_go_on_though_it_was_good(|w: &mut World| { carry_on(w); phase(w, Phase::Successful); }, "Forget")]
#[case::to_go_on_before_it_began(|w: &mut World| say(w, pgops_api::names::ANNOTATION_RESUME), "Forget")]
// Before the Job.
#[case::new(|w: &mut World| w.request.status = None, "Acknowledge")]
#[case::version_changed_meanwhile(|w: &mut World| {
    w.request.status.as_mut().unwrap().from = Some("13.10".into());
}, "Acknowledge")]
#[case::admitted(|_: &mut World| {}, "Claim")]
#[case::admitted_in_the_older_form(|w: &mut World| {
    w.request.spec.type_ = pgops_api::opsrequest::RequestType::Upgrade;
    w.request.spec.upgrade = w.request.spec.update_version.take();
}, "Claim")]
#[case::approved(|w: &mut World| phase(w, Phase::Approved), "Claim")]
#[case::kept_by_a_leader_that_died(keep, "Claim")]
#[case::claimed(hold, "Launch")]
#[case::claimed_by_one_that_is_gone(|w: &mut World| claim(w, "gone", Some("its-job")), "Claim")]
#[case::claimed_by_another(|w: &mut World| {
    claim(w, "other", None);
    w.phases.insert("other".into(), Some(Phase::Pending));
}, "Wait")]
#[case::claimed_and_denied(|w: &mut World| { hold(w); w.workload = None; }, "Deny")]
#[case::denied_when_claimed(|w: &mut World| { hold(w); phase(w, Phase::Denied); }, "Release")]
#[case::cancelled(cancel, "Fail")]
#[case::cancelled_when_claimed(|w: &mut World| { hold(w); cancel(w); }, "Fail")]
#[case::deleted(delete, "Nothing")]
#[case::deleted_when_kept(|w: &mut World| { keep(w); delete(w); }, "RemoveFinalizer")]
#[case::deleted_when_claimed(|w: &mut World| { hold(w); delete(w); }, "Release")]
// Its Job has not begun.
#[case::made(|w: &mut World| made(w, None), "Claim")]
#[case::made_again(|w: &mut World| { made(w, Some("an-earlier-one")); work(w); }, "Claim")]
#[case::named(|w: &mut World| made(w, Some("own-job")), "Start")]
#[case::named_again(|w: &mut World| { made(w, Some("own-job")); work(w); }, "Start")]
#[case::named_beside_pods_of_an_earlier_job(|w: &mut World| {
    made(w, Some("own-job"));
    w.pods = vec![pod(900, json!({ "phase": "Running" }))];
}, "LookAgain")]
#[case::named_and_no_longer_admitted(|w: &mut World| {
    made(w, Some("own-job"));
    w.request.spec.update_version.as_mut().unwrap().target_version = "13.1".into();
}, "Deny")]
#[case::named_and_deleted(|w: &mut World| { made(w, Some("own-job")); delete(w); }, "Withdraw")]
#[case::named_and_cancelled(|w: &mut World| { made(w, Some("own-job")); cancel(w); }, "Withdraw")]
#[case::named_again_and_cancelled(|w: &mut World| { made(w, Some("own-job")); work(w); cancel(w); }, "Start")]
#[case::named_and_ended(|w: &mut World| { made(w, Some("own-job")); phase(w, Phase::Denied); }, "Withdraw")]
#[case::made_and_ended(|w: &mut World| { made(w, None); phase(w, Phase::Denied); }, "Release")]
#[case::made_after_another_took_the_database(|w: &mut World| {
    made(w, None);
    claim(w, "other", None);
    w.phases.insert("other".into(), Some(Phase::Progressing));
}, "Wait")]
#[case::pods_of_a_deleted_job(|w: &mut World| {
    work(w);
    w.pods = vec![pod(900, json!({ "phase": "Running" }))];
}, "LookAgain")]
// With the Job.
#[case::job_made(|w: &mut World| { keep(w); w.job = Some(job(json!({}))); }, "Progress")]
#[case::at_work(|w: &mut World| {
    work(w);
    w.job = Some(job(json!({ "active": 1 })));
    w.pods = vec![pod(600, json!({ "phase": "Running" }))];
}, "Nothing")]
#[case::at_work_and_deleted(|w: &mut World| {
    work(w);
    delete(w);
    w.job = Some(job(json!({ "active": 1 })));
    w.pods = vec![pod(600, json!({ "phase": "Running" }))];
}, "Nothing")]
#[case::at_work_and_cancelled(|w: &mut World| {
    work(w);
    cancel(w);
    w.request.status.as_mut().unwrap().step = Some("4/14 PauseDatabase".into());
    w.job = Some(job(json!({ "active": 1 })));
    w.pods = vec![pod(600, json!({ "phase": "Running" }))];
}, "Nothing")]
#[case::cancelled_before_its_pod_began(|w: &mut World| {
    work(w);
    cancel(w);
    w.job = Some(job(json!({ "active": 1 })));
    w.pods = vec![pod(900, waiting("ErrImagePull"))];
}, "Withdraw")]
#[case::job_deleted_and_cancelled(|w: &mut World| { hold(w); work(w); cancel(w); }, "Launch")]
#[case::job_being_deleted(|w: &mut World| { work(w); delete_job(w); }, "Nothing")]
#[case::job_deleted(|w: &mut World| { hold(w); work(w); }, "Launch")]
#[case::job_deleted_and_claim_lost(work, "Claim")]
#[case::job_deleted_with_the_request(|w: &mut World| { work(w); delete(w); }, "RemoveFinalizer")]
#[case::job_deleted_with_the_request_while_paused(|w: &mut World| { hold(w); work(w); delete(w); pause(w, UID); }, "Launch")]
#[case::job_deleted_with_everything(|w: &mut World| {
    work(w);
    delete(w);
    pause(w, UID);
    delete_database(w);
}, "RemoveFinalizer")]
#[case::job_and_database_deleted(|w: &mut World| { work(w); w.database = None; }, "Fail")]
#[case::between_two_pods(|w: &mut World| {
    work(w);
    w.job = Some(job(json!({ "failed": 1 })));
    w.pods = vec![pod(700, ended(1, ""))];
}, "Nothing")]
#[case::image_missing_for_a_moment(|w: &mut World| {
    work(w);
    w.job = Some(job(json!({ "active": 1 })));
    w.pods = vec![pod(900, waiting("ErrImagePull"))];
}, "LookAgain")]
#[case::image_missing(|w: &mut World| {
    work(w);
    w.job = Some(job(json!({ "active": 1 })));
    w.pods = vec![pod(800, waiting("ImagePullBackOff"))];
}, "Withdraw")]
#[case::image_missing_after_a_start(|w: &mut World| {
    work(w);
    w.request.status.as_mut().unwrap().step = Some("4/14 PauseDatabase".into());
    w.job = Some(job(json!({ "active": 1 })));
    w.pods = vec![pod(800, waiting("ImagePullBackOff"))];
}, "Warn")]
#[case::no_pod(|w: &mut World| { work(w); w.job = Some(job(json!({}))); }, "Withdraw")]
#[case::no_pod_after_a_pause(|w: &mut World| { work(w); pause(w, UID); w.job = Some(job(json!({}))); }, "Warn")]
#[case::withdrawn(withdrawn, "Fail")]
#[case::withdrawn_with_a_live_pod(|w: &mut World| {
    withdrawn(w);
    w.pods = vec![pod(800, json!({ "phase": "Running" }))];
}, "LookAgain")]
#[case::withdrawn_a_moment_too_late(|w: &mut World| { withdrawn(w); pause(w, UID); }, "Resume")]
// Ends.
#[case::complete_but_old(|w: &mut World| { work(w); w.job = Some(job(over("Complete"))); }, "Fail")]
#[case::complete(|w: &mut World| {
    work(w);
    w.database.as_mut().unwrap().spec.version = "17.11".into();
    w.job = Some(job(over("Complete")));
}, "Succeed")]
#[case::complete_but_paused(|w: &mut World| {
    work(w);
    pause(w, UID);
    w.database.as_mut().unwrap().spec.version = "17.11".into();
    w.job = Some(job(over("Complete")));
}, "Fail")]
fn what_comes_next(#[case] change: fn(&mut World), #[case] expected: &str) {
    let mut world = world();
    change(&mut world);
    let action = next(&world);
    assert_eq!(kind(&action).0, expected, "{action:?}");
}

#[rstest]
#[case::no_database(|w: &mut World| w.database = None, "DatabaseNotFound", "demo/orders")]
#[case::downgrade(|w: &mut World| {
    w.database.as_mut().unwrap().spec.version = "17.11".into();
    w.request.status.as_mut().unwrap().from = Some("17.11".into());
    w.request.spec.update_version.as_mut().unwrap().target_version = "13.23".into();
}, "Downgrade", "upgrade from version 17.11 to 13.23 is not supported")]
#[case::foreign(|w: &mut World| w.workload = None, "NotProvisioned", "there is no StatefulSet demo/orders")]
fn denies_and_says_why(#[case] change: fn(&mut World), #[case] reason: &str, #[case] text: &str) {
    let mut world = world();
    change(&mut world);
    let (kind, said) = kind(&next(&world));
    assert_eq!(kind, "Deny");
    assert!(said.starts_with(&format!("{reason}: ")), "{said}");
    assert!(said.contains(text), "{said}");
}

#[rstest]
#[case::starting(|w: &mut World| database_phase(w, "NotReady"), "DatabaseNotReady", "NotReady")]
#[case::paused_by_another(|w: &mut World| pause(w, "other"), "DatabasePaused", "uid other")]
#[case::older(|w: &mut World| {
    w.others = vec![other("first", "1970-01-01T00:01:00Z", Phase::Pending)];
}, "Blocked", "first (Pending)")]
#[case::same_second_first_name(|w: &mut World| {
    w.others = vec![other("a", "1970-01-01T00:01:40Z", Phase::Pending)];
}, "Blocked", "PostgresOpsRequest a ")]
#[case::younger_that_holds_the_database(|w: &mut World| {
    w.others = vec![other("late", "1970-01-01T00:09:00Z", Phase::Pending)];
    claim(w, "late", None);
}, "Blocked", "late (Pending)")]
#[case::job_of_a_request_that_is_gone(|w: &mut World| {
    let mut job = job(json!({ "active": 1 }));
    job.metadata.name = Some("gone-77".into());
    w.other_jobs = vec![job];
}, "Blocked", "job gone-77 on demo/orders")]
#[case::younger_at_work(|w: &mut World| {
    w.others = vec![other("late", "1970-01-01T00:09:00Z", Phase::Progressing)];
}, "Blocked", "late (Progressing)")]
fn waits_and_names_what_for(#[case] change: fn(&mut World), #[case] reason: &str, #[case] text: &str) {
    let mut world = world();
    change(&mut world);
    let (kind, said) = kind(&next(&world));
    assert_eq!(kind, "Wait", "{said}");
    assert!(said.starts_with(&format!("{reason}: ")), "{said}");
    assert!(said.contains(text), "{said}");
}

#[test]
fn does_not_wait_for_a_younger_request_that_waits_itself() {
    let mut world = world();
    world.others = vec![other("late", "1970-01-01T00:09:00Z", Phase::Pending)];
    assert_eq!(kind(&next(&world)).0, "Claim");
}

#[test]
fn apply_always_goes_on_with_a_database_that_is_not_ready() {
    let mut world = world();
    database_phase(&mut world, "NotReady");
    world.request.spec.apply = Apply::Always;
    assert_eq!(kind(&next(&world)).0, "Claim");
}

#[test]
fn a_job_made_again_starts_from_the_version_that_the_request_began_with() {
    let mut world = world();
    hold(&mut world);
    work(&mut world);
    world.database.as_mut().unwrap().spec.version = "17.11".into();
    let workload = world.workload.as_mut().unwrap().spec.as_mut().unwrap();
    let pod = workload.template.spec.as_mut().unwrap();
    pod.containers[0].image = Some("postgres:17.11".into());
    let Action::Launch(worker) = next(&world) else { panic!("no launch") };
    assert_eq!(worker.plan.from.name, "13.16");
    assert_eq!(worker.plan.from.image, "postgres:13.16");
    assert_eq!(worker.plan.to.pg_version().unwrap(), PgVersion { major: 17, minor: 11 });
}

#[test]
fn a_job_that_cannot_be_made_again_is_warned_about_and_not_given_up() {
    let mut world = world();
    work(&mut world);
    world.request.status.as_mut().unwrap().from = Some("13.1".into());
    let (kind, said) = kind(&next(&world));
    assert_eq!(kind, "Warn");
    assert!(said.contains("PostgresVersion \"13.1\""), "{said}");
}

#[test]
fn a_failed_job_passes_on_its_last_words_and_says_who_holds_the_database() {
    let mut world = world();
    work(&mut world);
    world.job = Some(job(over("Failed")));
    world.pods = vec![pod(700, ended(1, "no space left on device"))];
    let (_, said) = kind(&next(&world));
    assert!(said.starts_with("JobFailed: job orders-17-3f9c21aa failed (Why: because); "), "{said}");
    assert!(said.contains("no space left on device"), "{said}");
    assert!(said.ends_with("demo/orders is not paused by this request"), "{said}");
    pause(&mut world, UID);
    let (_, said) = kind(&next(&world));
    let how = "goes on by: kubectl annotate pgops orders-17 -n demo pgops.dev/carry-on=true";
    assert!(said.contains("still paused by this request.") && said.contains(how), "{said}");
}

#[test]
fn the_same_world_gives_the_same_worker() {
    let mut world = world();
    hold(&mut world);
    assert_eq!(next(&world), next(&world));
    assert_eq!(kind(&next(&world)).0, "Launch");
}

#[test]
fn an_image_that_cannot_be_staged_touched_nothing_and_says_so() {
    let mut world = world();
    work(&mut world);
    world.job = Some(job(over("Failed")));
    world.pods = vec![pod(
        700,
        json!({ "phase": "Failed", "initContainerStatuses": [{
            "name": "stage", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": 42, "message": "failed to find PostgreSQL 13" } },
        }]}),
    )];
    let (_, said) = kind(&next(&world));
    assert!(said.starts_with("WorkerFailed: demo/orders was not touched: container stage of pod "), "{said}");
    assert!(said.ends_with("failed to find PostgreSQL 13"), "{said}");
    // A later pod of an upgrade that had begun.
    pause(&mut world, UID);
    let (_, said) = kind(&next(&world));
    assert!(said.starts_with("JobFailed: "), "{said}");
}

#[test]
fn a_request_without_a_status_is_acknowledged_with_the_databases_version() {
    let mut world = world();
    world.request.status = Some(PostgresOpsRequestStatus::default());
    assert_eq!(next(&world), Action::Acknowledge { from: "13.16".into() });
    assert_eq!(world.now, at(1000));
}
