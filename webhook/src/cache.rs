//! The cluster's state as plain data for decisions: a copy of all objects of three kinds, and what is derived
//! from them.

mod derived;
mod freshness;
mod merge;
mod prune;
mod reflector;
mod store;
mod unreadable;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::WriterDropped;
use pgops_api::admission::{Facts, NamespacedName};
use pgops_api::matrix::Catalog;
use pgops_api::opsrequest::RequestType;
use pgops_api::topology::StandbySupport;
use pgops_api::{ExecutedRequests, ManagedDatabases, Postgres, PostgresOpsRequest, PostgresVersion};

use derived::Derived;
use freshness::Freshness;
pub use prune::Prune;
pub use reflector::{run_reflector, run_reflectors};
use store::Store;
pub use store::StoreWriter;
pub use unreadable::Unreadable;

/// All objects of the three kinds. They may lag some milliseconds behind the API server.
pub struct Caches {
    databases: Store<Postgres>,
    requests: Store<PostgresOpsRequest>,
    versions: Store<PostgresVersion>,
    catalog: Derived<Catalog>,
    active: Derived<RequestsByDatabase>,
    freshness: Freshness,
    managed: ManagedDatabases,
    executed: ExecutedRequests,
    standbys: StandbySupport,
}

/// The writers that keep the caches up to date.
pub struct StoreWriters {
    /// Writes databases.
    pub databases: StoreWriter<Postgres>,
    /// Writes requests.
    pub requests: StoreWriter<PostgresOpsRequest>,
    /// Writes the entries of the catalog.
    pub versions: StoreWriter<PostgresVersion>,
}

/// Requests that may still change a database, oldest first, by the namespace and the name of the database.
type RequestsByDatabase = HashMap<String, HashMap<String, Vec<Arc<PostgresOpsRequest>>>>;

/// The objects that one decision depends on.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The database that the request names, if it exists.
    pub database: Option<Arc<Postgres>>,
    /// The compatibility matrix.
    pub catalog: Arc<Catalog>,
    /// Other requests that may still change the database, oldest first.
    pub active: Vec<Arc<PostgresOpsRequest>>,
    /// Whether this installation builds databases with standbys.
    pub standbys: StandbySupport,
}

/// What the API server has just returned, and the caches may not have yet.
#[derive(Debug)]
pub struct Current {
    /// The database that a request names, if it exists.
    pub database: Option<Postgres>,
    /// The requests of its namespace that may still change it, in any order.
    pub requests: Vec<Arc<PostgresOpsRequest>>,
}

impl Snapshot {
    /// The facts for [`pgops_api::admission::decide`].
    #[must_use]
    pub fn facts<'a>(&'a self, request: &'a PostgresOpsRequest) -> Facts<'a> {
        Facts {
            request,
            database: self.database.as_deref(),
            catalog: &self.catalog,
            active: &self.active,
            standbys: self.standbys,
        }
    }
}

impl Caches {
    /// Empty caches, and their writers.
    #[must_use]
    pub fn new() -> (Self, StoreWriters) {
        let freshness = Freshness::default();
        let databases = StoreWriter::new(freshness.clone());
        let requests = StoreWriter::new(freshness.clone());
        let versions = StoreWriter::new(freshness.clone());
        let caches = Self {
            databases: databases.store(),
            requests: requests.store(),
            versions: versions.store(),
            catalog: Derived::default(),
            active: Derived::default(),
            freshness,
            managed: ManagedDatabases::default(),
            executed: ExecutedRequests::default(),
            standbys: StandbySupport::default(),
        };
        (caches, StoreWriters { databases, requests, versions })
    }

    /// The same caches, of which only these databases are managed.
    #[must_use]
    pub fn managing(self, managed: ManagedDatabases) -> Self {
        Self { managed, ..self }
    }

    /// The same caches, of an installation that executes only these requests.
    #[must_use]
    pub fn executing(self, executed: ExecutedRequests) -> Self {
        Self { executed, ..self }
    }

    /// The same caches, of an installation that builds databases with standbys, or does not.
    #[must_use]
    pub fn supporting(self, standbys: StandbySupport) -> Self {
        Self { standbys, ..self }
    }

    /// Whether this installation builds databases with standbys.
    #[must_use]
    pub fn standbys(&self) -> StandbySupport {
        self.standbys
    }

    /// The requests that this installation executes.
    #[must_use]
    pub fn executed(&self) -> ExecutedRequests {
        self.executed
    }

    /// Whether this installation executes requests of this type.
    #[must_use]
    pub fn executes(&self, type_: RequestType) -> bool {
        self.executed.includes(type_)
    }

    /// Whether a database with this metadata is managed.
    #[must_use]
    pub fn manages(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.managed.includes(labels)
    }

    /// Waits until the first list of each kind is complete; fails if a writer was dropped before that.
    pub async fn wait_until_ready(&self) -> Result<(), WriterDropped> {
        self.versions.wait_until_ready().await?;
        self.databases.wait_until_ready().await?;
        self.requests.wait_until_ready().await
    }

    /// The kind whose objects have not been followed for the longest time, and how long, if that is too long to decide on
    /// them.
    #[must_use]
    pub fn stale(&self) -> Option<(String, Duration)> {
        self.freshness.stalest()
    }

    /// The objects that a decision on the request depends on. The request's namespace must be set.
    #[must_use]
    pub fn snapshot(&self, request: &PostgresOpsRequest) -> Snapshot {
        let database = NamespacedName::named_by(request);
        Snapshot {
            database: self.databases.get(&ObjectRef::new(database.name).within(database.namespace)),
            catalog: self.catalog(),
            active: without(request, self.active(database.namespace, database.name)),
            standbys: self.standbys,
        }
    }

    /// The same, with a database and requests that are newer than those of the caches.
    #[must_use]
    pub fn snapshot_of(&self, request: &PostgresOpsRequest, current: Current) -> Snapshot {
        let NamespacedName { namespace, name } = NamespacedName::named_by(request);
        let all = active_by_database(&current.requests, self.executed);
        let active = all.get(namespace).and_then(|databases| databases.get(name)).cloned();
        Snapshot {
            database: current.database.map(Arc::new),
            catalog: self.catalog(),
            active: without(request, active.unwrap_or_default()),
            standbys: self.standbys,
        }
    }

    /// Requests that may still change the database, oldest first.
    #[must_use]
    pub fn active(&self, namespace: &str, database: &str) -> Vec<Arc<PostgresOpsRequest>> {
        let executed = self.executed;
        let all = self.active.get(&self.requests, |requests| active_by_database(requests, executed));
        all.get(namespace).and_then(|databases| databases.get(database)).cloned().unwrap_or_default()
    }

    /// The database of that name, if it exists.
    #[must_use]
    pub fn database(&self, name: &ObjectRef<Postgres>) -> Option<Arc<Postgres>> {
        self.databases.get(name)
    }

    /// All managed databases that match.
    #[must_use]
    pub fn databases_where(&self, matches: impl Fn(&Postgres) -> bool) -> Vec<Arc<Postgres>> {
        self.databases
            .matching(|database| self.manages(database.metadata.labels.as_ref()) && matches(database))
    }

    /// All requests that match, completed ones too.
    #[must_use]
    pub fn requests_where(
        &self,
        matches: impl Fn(&PostgresOpsRequest) -> bool,
    ) -> Vec<Arc<PostgresOpsRequest>> {
        self.requests.matching(matches)
    }

    /// The compatibility matrix.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.get(&self.versions, |entries| {
            Catalog::new(
                entries.iter().filter_map(|entry| Some((entry.metadata.name.as_deref()?, &entry.spec))),
            )
        })
    }

    /// Kind and number of the cached objects.
    #[must_use]
    pub fn sizes(&self) -> [(&'static str, usize); 3] {
        [
            ("Postgres", self.databases.len()),
            ("PostgresOpsRequest", self.requests.len()),
            ("PostgresVersion", self.versions.len()),
        ]
    }
}

/// The other ones of these requests.
fn without(
    request: &PostgresOpsRequest,
    mut all: Vec<Arc<PostgresOpsRequest>>,
) -> Vec<Arc<PostgresOpsRequest>> {
    all.retain(|other| other.metadata.name != request.metadata.name);
    all
}

fn active_by_database(
    requests: &[Arc<PostgresOpsRequest>],
    executed: ExecutedRequests,
) -> RequestsByDatabase {
    let is_active =
        |request: &&Arc<PostgresOpsRequest>| request.is_active() && executed.includes(request.spec.type_);
    let mut active: Vec<_> = requests.iter().filter(is_active).collect();
    active.sort_by(|a, b| creation_order(a).cmp(&creation_order(b)));
    let mut all = RequestsByDatabase::new();
    for request in active {
        let NamespacedName { namespace, name } = NamespacedName::named_by(request);
        let databases = all.entry(namespace.to_owned()).or_default();
        databases.entry(name.to_owned()).or_default().push(request.clone());
    }
    all
}

/// Orders requests by their creation, and by name within the same second.
fn creation_order(request: &PostgresOpsRequest) -> (Option<i64>, Option<&str>) {
    let created = request.metadata.creation_timestamp.as_ref();
    (created.map(|time| time.0.as_second()), request.metadata.name.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    fn parse<K: serde::de::DeserializeOwned>(value: Value) -> K {
        serde_json::from_value(value).unwrap()
    }

    fn entry(name: &str, version: &str) -> PostgresVersion {
        parse(json!({"metadata": {"name": name}, "spec": {"version": version, "db": {"image": "i"}}}))
    }

    #[test]
    fn catalog_is_parsed_again_only_after_a_change() {
        let (caches, mut writers) = Caches::new();
        assert!(caches.catalog().entries().is_empty());

        for (name, version) in [("13", "13.16"), ("17", "17.11")] {
            writers.versions.apply(Event::Apply(entry(name, version)));
        }
        let first = caches.catalog();
        assert_eq!(first.entries().len(), 2);
        assert!(Arc::ptr_eq(&first, &caches.catalog()), "parsed again although nothing changed");

        writers.versions.apply(Event::Apply(entry("13", "13.23")));
        assert_eq!(caches.catalog().get("13").unwrap().version_ref.version, "13.23");
        writers.versions.apply(Event::Delete(entry("13", "13.23")));
        assert!(caches.catalog().get("13").is_none());
        assert!(caches.catalog().get("17").is_some());
    }

    #[test]
    fn active_requests_of_a_database_come_oldest_first() {
        let request = |name: &str, database: &str, second: i64, phase: &str| -> PostgresOpsRequest {
            parse(json!({
                "metadata": {"name": name, "namespace": "demo", "creationTimestamp": format!("2026-11-20T10:00:{second:02}Z")},
                "spec": {"type": "UpdateVersion", "databaseRef": {"name": database}},
                "status": {"phase": phase},
            }))
        };
        let (caches, mut writers) = Caches::new();
        for (name, database, second, phase) in [
            ("newer", "orders", 3, "Pending"),
            ("b", "orders", 2, "Progressing"),
            ("a", "orders", 2, "Pending"),
            ("ended", "orders", 1, "Failed"),
            ("elsewhere", "billing", 1, "Pending"),
        ] {
            writers.requests.apply(Event::Apply(request(name, database, second, phase)));
        }
        let names = |found: Vec<Arc<PostgresOpsRequest>>| -> Vec<String> {
            found.iter().filter_map(|it| it.metadata.name.clone()).collect()
        };
        assert_eq!(names(caches.active("demo", "orders")), ["a", "b", "newer"]);
        assert_eq!(names(caches.active("other", "orders")), [""; 0]);
        writers.requests.apply(Event::Apply(request("a", "orders", 2, "Successful")));
        assert_eq!(names(caches.active("demo", "orders")), ["b", "newer"]);
    }

    #[test]
    fn database_is_pruned_to_what_decisions_read() {
        let database: Postgres = parse(json!({
            "metadata": {
                "name": "orders", "namespace": "demo", "uid": "u", "labels": {"a": "b"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "…"},
                "managedFields": [{"manager": "kubectl"}],
            },
            "spec": {"version": "13.16", "podTemplate": {"spec": {}}, "storage": {"accessModes": ["ReadWriteOnce"]}, "authSecret": {"name": "a"}},
            "status": {"phase": "Ready", "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z"},
                {"type": "Paused", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z"},
            ]},
        }));
        let (caches, mut writers) = Caches::new();
        writers.databases.apply(Event::Apply(database));
        let kept = caches.databases_where(|_| true).remove(0);
        let kept = serde_json::to_value(&*kept).unwrap();
        assert_eq!(kept["metadata"], json!({"name": "orders", "namespace": "demo"}));
        assert_eq!(kept["spec"], json!({"version": "13.16"}));
        assert_eq!(kept["status"]["conditions"].as_array().unwrap().len(), 1);
        assert_eq!(kept["status"]["phase"], "Ready");
    }
}
