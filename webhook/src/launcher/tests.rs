//! The launcher against an API server: requests of one database, one launcher after another, and two at
//! once.

mod day_two;
mod long_names;
mod ownership;
mod queue;
mod refusals;
mod resume;
mod rights;
mod stale_leader;
mod vanished_job;

use std::sync::Arc;

use axum::http::Method;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher::Event;
use pgops_api::names::ANNOTATION_CLAIM;
use pgops_api::opsrequest::Phase;
use pgops_api::{ExecutedRequests, Postgres, PostgresOpsRequest, condition, names};
use pgops_testing::fake_api_server::{Breakpoint, FakeApiServer};
use serde_json::{Value, json};

use super::apply::Reconciler;
use super::controller::{Context, reconcile};
use super::fixtures::{self, parse, worker_options};
use super::job_state::{self, JobState};
use super::writes::Error;
use crate::cache::Caches;
use crate::cache::Unreadable;
use crate::metrics::Metrics;

/// One launcher.
struct Launcher {
    server: FakeApiServer,
    context: Arc<Context>,
}

impl Launcher {
    fn new(server: &FakeApiServer) -> Self {
        Self::with_client(server, server.client())
    }

    fn with_breakpoint(server: &FakeApiServer, breakpoint: &Breakpoint) -> Self {
        Self::with_client(server, server.client_with_breakpoint(breakpoint.clone()))
    }

    /// Of an installation without the provisioner.
    fn of_upgrades(server: &FakeApiServer) -> Self {
        Self::executing(server, server.client(), ExecutedRequests::Upgrades)
    }

    fn with_client(server: &FakeApiServer, client: Client) -> Self {
        Self::executing(server, client, ExecutedRequests::All)
    }

    fn executing(server: &FakeApiServer, client: Client, executed: ExecutedRequests) -> Self {
        let (caches, mut feeds) = Caches::new();
        for name in ["13.16", "13.23", "17.11"] {
            let image = format!("postgres:{name}");
            let spec = json!({ "version": name, "db": { "image": image, "baseOS": "debian" } });
            let entry = parse(json!({ "metadata": { "name": name }, "spec": spec }));
            feeds.versions.apply(Event::Apply(entry));
        }
        let reporter = Reporter { controller: "test".into(), instance: None };
        let recorder = Recorder::new(client.clone(), reporter);
        let context = Context {
            reconciler: Reconciler { client, recorder, worker: worker_options() },
            caches: Arc::new(caches.executing(executed)),
            unreadable: Unreadable::default(),
            metrics: Metrics::default(),
        };
        Self { server: server.clone(), context: Arc::new(context) }
    }

    /// Reconciles a request as the controller does, which retries a conflict later.
    async fn reconcile(&self, name: &str) {
        let seen: Option<DeserializeGuard<PostgresOpsRequest>> = self.server.get(name);
        let Some(seen) = seen else { return };
        match reconcile(Arc::new(seen), self.context.clone()).await {
            Ok(Action { .. }) => {}
            Err(error) => assert!(error.is_conflict() || is_not_found(&error), "{error:?}"),
        }
    }

    /// Reconciles all requests until there is nothing more to do.
    async fn settle(&self) {
        loop {
            let before = self.server.version();
            for name in names_of(&self.server) {
                self.reconcile(&name).await;
            }
            if self.server.version() == before {
                return;
            }
        }
    }
}

/// Whether the object of a write was deleted meanwhile.
fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Write(error) if error.is_not_found())
}

/// A breakpoint before that call, counted from 0. Writes count, and the read of the database; the reads around that
/// see the same state as it.
fn before_call(at: usize) -> Breakpoint {
    Breakpoint::before_call(at, |method, path| {
        let counts = *method != Method::GET || path.contains("/postgreses/");
        counts && !path.contains("/events")
    })
}

/// Whether the Job controller would create pods for it.
fn has_pods(job: &Value) -> bool {
    let has_ended = job["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
    job["spec"]["suspend"] != json!(true) && !has_ended
}

/// The API server with the database, and no request yet. It records how many Jobs have pods at the same time.
fn cluster() -> FakeApiServer {
    let server = FakeApiServer::new("demo");
    server.record_max::<Job>(has_pods);
    server.put(&fixtures::database());
    server.put(&fixtures::workload());
    server.put(&fixtures::claim());
    server
}

/// Stores a request, past admission.
fn add_request(server: &FakeApiServer, name: &str, created: &str, target: &str) {
    let mut value = serde_json::to_value(fixtures::request(name)).unwrap();
    value["metadata"]["uid"] = json!(format!("{name}1-of-{created}"));
    value["metadata"]["creationTimestamp"] = json!(format!("1970-01-01T00:{created}Z"));
    value["spec"]["updateVersion"]["targetVersion"] = json!(target);
    value["status"] = Value::Null;
    server.put(&parse::<PostgresOpsRequest>(value));
}

/// What the runner and the Job controller do at the end of an upgrade.
fn complete_upgrade(server: &FakeApiServer, name: &str) {
    let request = get(server, name);
    server.change::<Postgres>("orders", |it| it["spec"]["version"] = json!(request.target()));
    server.change::<PostgresOpsRequest>(name, |it| it["status"]["phase"] = json!("Successful"));
    complete_job(server, name);
}

/// What the Job controller does when a Job is started: a pod runs.
fn add_pod(server: &FakeApiServer, name: &str) {
    let job: Job = server.get(&names::job(name, &get(server, name).metadata.uid.unwrap())).unwrap();
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": job.metadata.name, "uid": job.metadata.uid, "controller": true,
    });
    let account = job.spec.unwrap().template.spec.unwrap().service_account_name;
    server.put(&parse::<Pod>(json!({
        "metadata": {
            "name": format!("{name}-pod"), "namespace": "demo", "labels": job.metadata.labels, "ownerReferences": [owner],
        },
        "spec": { "containers": [], "serviceAccountName": account },
        "status": { "phase": "Running" },
    })));
}

fn end_pod(server: &FakeApiServer, name: &str) {
    server.change::<Pod>(&format!("{name}-pod"), |it| it["status"]["phase"] = json!("Succeeded"));
}

fn complete_job(server: &FakeApiServer, name: &str) {
    let job = names::job(name, &get(server, name).metadata.uid.unwrap());
    let conditions = json!([{ "type": "Complete", "status": "True" }]);
    server.change::<Job>(&job, |it| it["status"]["conditions"] = conditions);
}

fn delete_request(server: &FakeApiServer, name: &str) {
    let now = json!("1970-01-01T01:00:00Z");
    server.change::<PostgresOpsRequest>(name, |it| it["metadata"]["deletionTimestamp"] = now);
}

fn names_of(server: &FakeApiServer) -> Vec<String> {
    let all = server.all::<DeserializeGuard<PostgresOpsRequest>>();
    all.iter().map(kube::ResourceExt::name_any).collect()
}

fn get(server: &FakeApiServer, name: &str) -> PostgresOpsRequest {
    server.get(name).unwrap()
}

fn phases(server: &FakeApiServer) -> Vec<Phase> {
    names_of(server).iter().map(|name| get(server, name).phase()).collect()
}

fn condition_message(server: &FakeApiServer, name: &str, condition: &str) -> String {
    let status = get(server, name).status.unwrap();
    let found = condition::find(&status.conditions, condition);
    found.unwrap_or_else(|| panic!("{:?}", status.conditions)).message.clone().unwrap()
}

/// Names of the requests whose Job is active.
fn active(server: &FakeApiServer) -> Vec<String> {
    let is_active = |job: &Job| job_state::of(job) == JobState::Active;
    let jobs = server.all::<Job>().into_iter().filter(is_active);
    jobs.map(|job| job.metadata.annotations.unwrap()[names::LABEL_REQUEST].clone()).collect()
}

/// The claim on the database.
fn claim(server: &FakeApiServer) -> Option<String> {
    server.get::<Postgres>("orders")?.metadata.annotations?.remove(ANNOTATION_CLAIM)
}
