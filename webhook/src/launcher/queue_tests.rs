//! The launcher against an API server: requests of one database, one launcher after another, and two at
//! once.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher::Event;
use pgops_api::admission::{Facts, decide};
use pgops_api::names::ANNOTATION_CLAIM;
use pgops_api::opsrequest::{CONDITION_FAILED, CONDITION_WAITING, Phase};
use pgops_api::{Postgres, PostgresOpsRequest, condition, names};
use serde_json::{Value, json};

use super::Images;
use super::act::{Error, Hands};
use super::controller::{Context, pass};
use super::fake::{Fake, Stall};
use super::fixtures::{self, catalog, parse};
use super::job::{self, JobState};
use crate::cache::Caches;
use crate::cache::Unreadable;

/// The API server with the database, and no request yet.
fn cluster() -> Fake {
    let fake = Fake::default();
    fake.put(&fixtures::database());
    fake.put(&fixtures::workload());
    fake
}

/// Stores a request, past admission.
fn request(fake: &Fake, name: &str, created: &str, target: &str) {
    let mut value = serde_json::to_value(fixtures::request(name)).unwrap();
    value["metadata"]["uid"] = json!(format!("{name}1-of-{created}"));
    value["metadata"]["creationTimestamp"] = json!(format!("1970-01-01T00:{created}Z"));
    value["spec"]["updateVersion"]["targetVersion"] = json!(target);
    value["status"] = Value::Null;
    fake.put(&parse::<PostgresOpsRequest>(value));
}

/// One launcher.
struct Launcher {
    fake: Fake,
    context: Arc<Context>,
}

impl Launcher {
    fn new(fake: &Fake, stall: Option<Stall>) -> Self {
        let client = fake.client(stall);
        let (caches, mut feeds) = Caches::new();
        for name in ["13.16", "13.23", "17.11"] {
            let image = format!("postgres:{name}");
            let spec = json!({ "version": name, "db": { "image": image, "baseOS": "debian" } });
            let entry = parse(json!({ "metadata": { "name": name }, "spec": spec }));
            feeds.versions.apply(Event::Apply(entry));
        }
        let reporter = Reporter { controller: "test".into(), instance: None };
        let context = Context {
            hands: Hands {
                client: client.clone(),
                recorder: Recorder::new(client, reporter),
                images: Images { runner: "registry/pgops-runner:1".into(), pull_policy: None },
            },
            caches: Arc::new(caches),
            unreadable: Unreadable::default(),
        };
        Self { fake: fake.clone(), context: Arc::new(context) }
    }

    /// One pass over a request, as the controller makes it; a conflict is tried again later.
    async fn look_at(&self, name: &str) {
        let seen: Option<DeserializeGuard<PostgresOpsRequest>> = self.fake.get(name);
        let Some(seen) = seen else { return };
        match pass(Arc::new(seen), self.context.clone()).await {
            Ok(Action { .. }) => {}
            Err(error) => assert!(error.is_conflict() || is_gone(&error), "{error:?}"),
        }
    }

    /// Looks at all requests until there is nothing more to do.
    async fn settle(&self) {
        loop {
            let before = self.fake.version();
            for name in names_of(&self.fake) {
                self.look_at(&name).await;
            }
            if self.fake.version() == before {
                return;
            }
        }
    }
}

/// The object of a write went away meanwhile.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Kube { source: kube::Error::Api(status), .. } if status.code == 404)
}

fn names_of(fake: &Fake) -> Vec<String> {
    let all = fake.all::<DeserializeGuard<PostgresOpsRequest>>();
    all.iter().map(kube::ResourceExt::name_any).collect()
}

fn get(fake: &Fake, name: &str) -> PostgresOpsRequest {
    fake.get(name).unwrap()
}

fn phases(fake: &Fake) -> Vec<Phase> {
    names_of(fake).iter().map(|name| get(fake, name).phase()).collect()
}

fn message(fake: &Fake, name: &str, condition: &str) -> String {
    let status = get(fake, name).status.unwrap();
    let found = condition::find(&status.conditions, condition);
    found.unwrap_or_else(|| panic!("{:?}", status.conditions)).message.clone().unwrap()
}

/// Names of the requests whose Job works.
fn at_work(fake: &Fake) -> Vec<String> {
    let works = |job: &Job| job::state(job) == JobState::Active;
    let jobs = fake.all::<Job>().into_iter().filter(works);
    jobs.map(|job| job.metadata.annotations.unwrap()[names::LABEL_REQUEST].clone()).collect()
}

fn claim(fake: &Fake) -> Option<String> {
    fake.get::<Postgres>("orders")?.metadata.annotations?.remove(ANNOTATION_CLAIM)
}

/// What the runner and the Job controller do at the end of an upgrade.
fn finish(fake: &Fake, name: &str) {
    let request = get(fake, name);
    fake.change::<Postgres>("orders", |it| it["spec"]["version"] = json!(request.target()));
    fake.change::<PostgresOpsRequest>(name, |it| it["status"]["phase"] = json!("Successful"));
    end_job(fake, name);
}

fn end_job(fake: &Fake, name: &str) {
    let job = names::job(name, &get(fake, name).metadata.uid.unwrap());
    let over = json!([{ "type": "Complete", "status": "True" }]);
    fake.change::<Job>(&job, |it| it["status"]["conditions"] = over);
}

fn delete(fake: &Fake, name: &str) {
    let now = json!("1970-01-01T01:00:00Z");
    fake.change::<PostgresOpsRequest>(name, |it| it["metadata"]["deletionTimestamp"] = now);
}

#[tokio::test]
async fn requests_of_one_database_go_one_after_the_other_as_they_were_created() {
    let fake = cluster();
    request(&fake, "c", "01:00", "17.11");
    request(&fake, "b", "02:00", "13.23");
    request(&fake, "a", "02:00", "13.23");
    let launcher = Launcher::new(&fake, None);

    launcher.settle().await;
    assert_eq!(at_work(&fake), ["c"]);
    assert_eq!(phases(&fake), [Phase::Pending, Phase::Pending, Phase::Progressing]);
    for waiting in ["a", "b"] {
        let text = message(&fake, waiting, CONDITION_WAITING);
        assert_eq!(text, "waits until PostgresOpsRequest c (Progressing) on demo/orders has ended");
    }

    // The request has ended, its Job has not: nobody else begins.
    fake.change::<PostgresOpsRequest>("c", |it| it["status"]["phase"] = json!("Failed"));
    launcher.settle().await;
    assert_eq!(at_work(&fake), ["c"]);
    assert!(message(&fake, "a", CONDITION_WAITING).contains("job c-c1 of PostgresOpsRequest c"));

    end_job(&fake, "c");
    launcher.settle().await;
    assert_eq!(at_work(&fake), ["a"]);
    assert!(message(&fake, "b", CONDITION_WAITING).contains("PostgresOpsRequest a (Progressing)"));

    finish(&fake, "a");
    launcher.settle().await;
    finish(&fake, "b");
    launcher.settle().await;
    assert_eq!(claim(&fake), None, "the claim outlived its last request");
    assert!(names_of(&fake).iter().all(|name| get(&fake, name).metadata.finalizers.unwrap().is_empty()));
    assert_eq!(fake.most_at_work(), 1);
}

#[tokio::test]
async fn a_request_that_the_one_before_it_made_impossible_is_denied_in_the_words_of_admission() {
    let fake = cluster();
    request(&fake, "first", "01:00", "17.11");
    request(&fake, "second", "02:00", "13.23");
    let launcher = Launcher::new(&fake, None);
    launcher.settle().await;
    finish(&fake, "first");
    launcher.settle().await;

    let (asked, database) = (get(&fake, "second"), fake.get::<Postgres>("orders"));
    let facts = Facts { request: &asked, database: database.as_ref(), catalog: &catalog(), active: &[] };
    let denial = decide(&facts).unwrap_err();
    assert_eq!(asked.phase(), Phase::Denied);
    assert_eq!(message(&fake, "second", CONDITION_FAILED), denial.message);
    assert!(denial.message.starts_with("upgrade from version 17.11 to 13.23 is not supported"));
    assert_eq!((fake.all::<Job>().len(), claim(&fake)), (1, None));
}

#[tokio::test]
async fn a_request_of_a_newer_api_stops_nobody() {
    let fake = cluster();
    request(&fake, "known", "02:00", "13.23");
    request(&fake, "newer", "01:00", "13.23");
    fake.change::<PostgresOpsRequest>("newer", |it| it["spec"]["type"] = json!("Teleport"));
    Launcher::new(&fake, None).settle().await;
    assert_eq!(at_work(&fake), ["known"]);
}

#[tokio::test]
async fn a_job_deleted_at_work_is_made_again_and_begins() {
    let fake = cluster();
    request(&fake, "a", "01:00", "17.11");
    request(&fake, "b", "01:00", "17.11");
    let launcher = Launcher::new(&fake, None);
    launcher.settle().await;
    let first = claim(&fake);
    let job = names::job("a", "a1-of-01:00");
    fake.change::<Job>(&job, |it| it["metadata"]["deletionTimestamp"] = json!("1970-01-01T01:00:00Z"));
    assert_eq!(at_work(&fake), [""; 0]);
    launcher.settle().await;
    assert_eq!(at_work(&fake), ["a"]);
    assert_ne!(claim(&fake), first, "the claim names the Job that is gone");
}

/// The Job of a request is lost while the database is paused by it, and a person says: carry on.
async fn lose_the_job(fake: &Fake, launcher: &Launcher) {
    request(fake, "a", "01:00", "17.11");
    launcher.settle().await;
    fake.change::<Postgres>("orders", |it| {
        it["status"]["conditions"] = json!([{
            "type": "Paused", "status": "True", "reason": "Paused", "lastTransitionTime": "1970-01-01T00:12:00Z",
            "message": "paused by PostgresOpsRequest a (uid a1-of-01:00) for the upgrade 13.16 to 17.11",
        }]);
    });
    let job = names::job("a", "a1-of-01:00");
    let lost = json!([{ "type": "Failed", "status": "True", "reason": "DeadlineExceeded" }]);
    fake.change::<Job>(&job, |it| it["status"]["conditions"] = lost);
    launcher.settle().await;
    let how = "kubectl annotate pgops a -n demo pgops.dev/carry-on=true";
    assert!(message(fake, "a", CONDITION_FAILED).contains(how), "{}", message(fake, "a", CONDITION_FAILED));
    assert_eq!((phases(fake), claim(fake)), (vec![Phase::Failed], None));
    fake.change::<PostgresOpsRequest>("a", |it| {
        it["metadata"]["annotations"] = json!({ names::ANNOTATION_RESUME: "true" });
    });
}

fn asks_to_carry_on(fake: &Fake) -> bool {
    get(fake, "a").wants_resume()
}

/// A launcher is stopped before each of its calls in turn, and another one goes on; what it does then
/// changes nothing any more.
#[tokio::test]
async fn a_request_that_is_to_carry_on_gets_one_more_job() {
    let mut stops = 0;
    loop {
        let fake = cluster();
        let new = Launcher::new(&fake, None);
        lose_the_job(&fake, &new).await;
        // It waits for the database, which is not free.
        request(&fake, "b", "00:30", "13.23");
        let stall = Stall::before(stops);
        let old = Launcher::new(&fake, Some(stall.clone()));
        let mut acting = Box::pin(old.settle());
        tokio::select! {
            () = &mut acting => break,
            () = stall.reached() => {}
        }
        new.settle().await;
        let begun = (at_work(&fake), claim(&fake), asks_to_carry_on(&fake));
        assert_eq!((&begun.0, begun.2), (&vec!["a".to_owned()], false), "stopped before call {stops}");
        stall.end();
        acting.await;
        assert_eq!(
            (at_work(&fake), claim(&fake), asks_to_carry_on(&fake)),
            begun,
            "stopped before call {stops}"
        );
        assert_eq!((fake.most_at_work(), fake.all::<Job>().len()), (1, 1), "stopped before call {stops}");
        let conditions = get(&fake, "a").status.unwrap().conditions;
        assert_eq!(condition::find(&conditions, CONDITION_FAILED), None, "stopped before call {stops}");
        stops += 1;
    }
    assert!(stops > 10, "only {stops} calls: was anything tested?");
}

#[tokio::test]
async fn a_wish_to_carry_on_that_cannot_be_heard_goes() {
    let fake = cluster();
    let launcher = Launcher::new(&fake, None);
    lose_the_job(&fake, &launcher).await;
    fake.change::<Postgres>("orders", |it| it["status"]["conditions"] = json!([]));
    launcher.settle().await;
    assert!(!asks_to_carry_on(&fake));
    assert_eq!((phases(&fake), at_work(&fake)), (vec![Phase::Failed], Vec::new()));
}

#[tokio::test]
async fn what_is_read_around_a_request_that_has_changed_since_is_looked_at_again() {
    let fake = cluster();
    request(&fake, "a", "01:00", "17.11");
    let launcher = Launcher::new(&fake, None);
    let seen: DeserializeGuard<PostgresOpsRequest> = fake.get("a").unwrap();
    fake.change::<PostgresOpsRequest>("a", |it| it["metadata"]["labels"] = json!({ "by": "somebody" }));
    let before = fake.version();
    let action = pass(Arc::new(seen), launcher.context.clone()).await.unwrap();
    assert_ne!(action, Action::await_change(), "it may be that nothing more changes");
    assert_eq!(fake.version(), before);
}

/// What happens while an old leader stands still.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    /// Another launcher brings its request to the end, and begins the next one.
    Ended,
    /// So, and the request was deleted, with everything that it owned.
    Deleted,
    /// Its request became impossible, if it had not begun, and another launcher begins the next one.
    Denied,
    /// An older request comes, and another launcher begins it.
    Overtaken,
}

/// An old leader is stopped before each of its calls in turn, the world goes on without it, and then it
/// goes on with what it had seen.
#[rstest::rstest]
#[case(Meanwhile::Ended)]
#[case(Meanwhile::Deleted)]
#[case(Meanwhile::Denied)]
#[case(Meanwhile::Overtaken)]
#[tokio::test]
async fn an_old_leader_that_still_acts_makes_no_second_job(#[case] meanwhile: Meanwhile) {
    let mut stops = 0;
    loop {
        let fake = cluster();
        request(&fake, "b", "05:00", "13.23");
        let stall = Stall::before(stops);
        let (old, new) = (Launcher::new(&fake, Some(stall.clone())), Launcher::new(&fake, None));
        let mut acting = Box::pin(old.settle());
        tokio::select! {
            // It has made all of its calls: there is no later one to be stopped before.
            () = &mut acting => break,
            () = stall.reached() => {}
        }
        world_goes_on(&fake, &new, meanwhile).await;
        let begun = (at_work(&fake), claim(&fake));
        stall.end();
        acting.await;
        assert_eq!((at_work(&fake), claim(&fake)), begun, "{meanwhile:?}, stopped before call {stops}");
        assert_eq!(fake.most_at_work(), 1, "{meanwhile:?}, stopped before call {stops}");

        // And nothing that it did keeps anyone from going on.
        while let [name] = at_work(&fake).as_slice() {
            finish(&fake, name);
            new.settle().await;
        }
        assert!(phases(&fake).into_iter().all(Phase::is_terminal), "{:?}", phases(&fake));
        assert_eq!((claim(&fake), fake.most_at_work()), (None, 1), "stopped before call {stops}");
        stops += 1;
    }
    assert!(stops > 15, "only {stops} calls: was anything tested?");
}

async fn world_goes_on(fake: &Fake, new: &Launcher, meanwhile: Meanwhile) {
    if let Meanwhile::Overtaken = meanwhile {
        request(fake, "a", "05:00", "17.11");
        return new.settle().await;
    }
    if let Meanwhile::Denied = meanwhile {
        fake.change::<Postgres>("orders", |it| it["spec"]["version"] = json!("17.11"));
    }
    new.settle().await;
    if at_work(fake) == ["b"] {
        finish(fake, "b");
    }
    if let Meanwhile::Deleted = meanwhile {
        delete(fake, "b");
    }
    new.settle().await;
    request(fake, "c", "06:00", "17.11");
    new.settle().await;
    assert_eq!(at_work(fake), ["c"]);
}
