//! What the cluster holds, as plain data for decisions: mirrors of three kinds, and what follows from them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::store::{Writer, WriterDropped};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use pgops_api::admission::{Facts, NamespacedName};
use pgops_api::matrix::Catalog;
use pgops_api::postgres::CONDITION_PAUSED;
use pgops_api::{Postgres, PostgresOpsRequest, PostgresVersion};

/// The three kinds, mirrored. They may be some milliseconds behind the API server.
pub struct Caches {
    databases: Mirror<Postgres>,
    requests: Mirror<PostgresOpsRequest>,
    versions: Mirror<PostgresVersion>,
    catalog: Derived<Catalog>,
    active: Derived<ByDatabase>,
}

/// What keeps the mirrors up to date.
pub struct Feeds {
    /// Of the databases.
    pub databases: Feed<Postgres>,
    /// Of the requests.
    pub requests: Feed<PostgresOpsRequest>,
    /// Of the catalog's entries.
    pub versions: Feed<PostgresVersion>,
}

/// Requests that may still change a database, oldest first, by its namespace and its name.
type ByDatabase = HashMap<String, HashMap<String, Vec<Arc<PostgresOpsRequest>>>>;

/// The objects that one decision rests on.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The database that the request names, if there is one.
    pub database: Option<Arc<Postgres>>,
    /// The compatibility matrix.
    pub catalog: Arc<Catalog>,
    /// Other requests that may still change the database, oldest first.
    pub active: Vec<Arc<PostgresOpsRequest>>,
}

impl Snapshot {
    /// The facts for [`pgops_api::admission::decide`].
    #[must_use]
    pub fn facts<'a>(&'a self, request: &'a PostgresOpsRequest) -> Facts<'a> {
        Facts { request, database: self.database.as_deref(), catalog: &self.catalog, active: &self.active }
    }
}

impl Caches {
    /// Empty mirrors, and what fills them.
    #[must_use]
    pub fn new() -> (Self, Feeds) {
        let (databases, requests, versions) = (Feed::default(), Feed::default(), Feed::default());
        let caches = Self {
            databases: databases.mirror(),
            requests: requests.mirror(),
            versions: versions.mirror(),
            catalog: Derived::default(),
            active: Derived::default(),
        };
        (caches, Feeds { databases, requests, versions })
    }

    /// Waits until each mirror has been filled once; fails if one never will be.
    pub async fn wait_until_ready(&self) -> Result<(), WriterDropped> {
        self.versions.store.wait_until_ready().await?;
        self.databases.store.wait_until_ready().await?;
        self.requests.store.wait_until_ready().await
    }

    /// What a decision on the request rests on. The request's namespace must be set.
    #[must_use]
    pub fn snapshot(&self, request: &PostgresOpsRequest) -> Snapshot {
        let place = NamespacedName::named_by(request);
        let own_name = request.metadata.name.as_deref();
        let mut active = self.active(place.namespace, place.name);
        active.retain(|other| other.metadata.name.as_deref() != own_name);
        Snapshot {
            database: self.databases.store.get(&ObjectRef::new(place.name).within(place.namespace)),
            catalog: self.catalog(),
            active,
        }
    }

    /// Requests that may still change the database, oldest first.
    #[must_use]
    pub fn active(&self, namespace: &str, database: &str) -> Vec<Arc<PostgresOpsRequest>> {
        let all = self.active.of(&self.requests, by_database);
        all.get(namespace).and_then(|of| of.get(database)).cloned().unwrap_or_default()
    }

    /// All databases that fit.
    #[must_use]
    pub fn databases_where(&self, fits: impl Fn(&Postgres) -> bool) -> Vec<Arc<Postgres>> {
        self.databases.store.state_filter(fits)
    }

    /// All requests that fit, whether they may still act or not.
    #[must_use]
    pub fn requests_where(&self, fits: impl Fn(&PostgresOpsRequest) -> bool) -> Vec<Arc<PostgresOpsRequest>> {
        self.requests.store.state_filter(fits)
    }

    /// The compatibility matrix.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.of(&self.versions, |entries| {
            Catalog::new(
                entries.iter().filter_map(|entry| Some((entry.metadata.name.as_deref()?, &entry.spec))),
            )
        })
    }

    /// Kind and number of the objects that are held.
    #[must_use]
    pub fn sizes(&self) -> [(&'static str, usize); 3] {
        [
            ("Postgres", self.databases.store.len()),
            ("PostgresOpsRequest", self.requests.store.len()),
            ("PostgresVersion", self.versions.store.len()),
        ]
    }
}

fn by_database(requests: &[Arc<PostgresOpsRequest>]) -> ByDatabase {
    let mut active: Vec<_> = requests.iter().filter(|request| request.is_active()).collect();
    active.sort_by(|a, b| age(a).cmp(&age(b)));
    let mut all = ByDatabase::new();
    for request in active {
        let NamespacedName { namespace, name } = NamespacedName::named_by(request);
        let of_namespace = all.entry(namespace.to_owned()).or_default();
        of_namespace.entry(name.to_owned()).or_default().push(request.clone());
    }
    all
}

/// Orders requests as they were created; the name decides within the same second.
fn age(request: &PostgresOpsRequest) -> (Option<i64>, Option<&str>) {
    let created = request.metadata.creation_timestamp.as_ref();
    (created.map(|time| time.0.as_second()), request.metadata.name.as_deref())
}

/// The objects of one kind, for readers.
struct Mirror<K: Slim> {
    store: Store<K>,
    changes: Arc<AtomicU64>,
}

/// The objects of one kind, for the one who writes them.
pub struct Feed<K: Slim> {
    writer: Writer<K>,
    changes: Arc<AtomicU64>,
}

impl<K: Slim> Default for Feed<K> {
    fn default() -> Self {
        Self { writer: Writer::default(), changes: Arc::default() }
    }
}

impl<K: Slim> Feed<K> {
    fn mirror(&self) -> Mirror<K> {
        Mirror { store: self.writer.as_reader(), changes: self.changes.clone() }
    }

    /// Follows what a watch says. Of the objects only that is kept which a decision may read.
    pub fn apply(&mut self, mut event: Event<K>) {
        if let Event::Apply(object) | Event::InitApply(object) = &mut event {
            slim(object.meta_mut());
            object.slim();
        }
        self.writer.apply_watcher_event(&event);
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The object of that name, as it was seen last.
    #[must_use]
    pub fn get(&self, object: &ObjectRef<K>) -> Option<Arc<K>> {
        self.writer.as_reader().get(object)
    }
}

/// Drops what no decision reads: with it, thousands of databases would need hundreds of megabytes.
pub trait Slim: Resource<DynamicType = ()> + Clone + 'static {
    /// Drops it as far as it is of this kind alone.
    fn slim(&mut self);
}

impl Slim for Postgres {
    fn slim(&mut self) {
        self.metadata.uid = None;
        self.spec.storage = None;
        self.spec.auth_secret = None;
        self.spec.config_secret = None;
        self.spec.pod_template = None;
        if let Some(status) = &mut self.status {
            status.conditions.retain(|condition| condition.type_ == CONDITION_PAUSED);
            status.conditions.shrink_to_fit();
        }
    }
}

impl Slim for PostgresOpsRequest {
    fn slim(&mut self) {
        if let Some(status) = &mut self.status {
            status.conditions = Vec::new();
        }
    }
}

impl Slim for PostgresVersion {
    fn slim(&mut self) {
        self.metadata.uid = None;
    }
}

fn slim(metadata: &mut ObjectMeta) {
    *metadata = ObjectMeta {
        name: metadata.name.take(),
        namespace: metadata.namespace.take(),
        uid: metadata.uid.take(),
        creation_timestamp: metadata.creation_timestamp.take(),
        deletion_timestamp: metadata.deletion_timestamp.take(),
        ..ObjectMeta::default()
    };
}

/// What follows from a mirror, worked out again only when the mirror has changed.
struct Derived<T>(ArcSwap<(u64, Arc<T>)>);

impl<T: Default> Default for Derived<T> {
    /// What follows from a mirror that nothing was ever written to.
    fn default() -> Self {
        Self(ArcSwap::from_pointee((0, Arc::default())))
    }
}

impl<T> Derived<T> {
    fn of<K: Slim>(&self, mirror: &Mirror<K>, derive: impl FnOnce(&[Arc<K>]) -> T) -> Arc<T> {
        // Read before the objects: what is written in between is worked out again by the next reader.
        let changes = mirror.changes.load(Ordering::Acquire);
        let known = self.0.load();
        if known.0 == changes {
            return known.1.clone();
        }
        let derived = Arc::new(derive(&mirror.store.state()));
        self.0.store(Arc::new((changes, derived.clone())));
        derived
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse<K: serde::de::DeserializeOwned>(value: Value) -> K {
        serde_json::from_value(value).unwrap()
    }

    fn entry(name: &str, version: &str) -> PostgresVersion {
        parse(json!({"metadata": {"name": name}, "spec": {"version": version, "db": {"image": "i"}}}))
    }

    #[test]
    fn reads_the_catalog_again_only_when_an_entry_has_changed() {
        let (caches, mut feeds) = Caches::new();
        assert!(caches.catalog().entries().is_empty());

        for (name, version) in [("13", "13.16"), ("17", "17.11")] {
            feeds.versions.apply(Event::Apply(entry(name, version)));
        }
        let first = caches.catalog();
        assert_eq!(first.entries().len(), 2);
        assert!(Arc::ptr_eq(&first, &caches.catalog()), "nothing changed, nothing was read");

        feeds.versions.apply(Event::Apply(entry("13", "13.23")));
        assert_eq!(caches.catalog().get("13").unwrap().version_ref.version, "13.23");
        feeds.versions.apply(Event::Delete(entry("13", "13.23")));
        assert!(caches.catalog().get("13").is_none());
        assert!(caches.catalog().get("17").is_some());
    }

    #[test]
    fn finds_the_active_requests_of_one_database_oldest_first() {
        let request = |name: &str, database: &str, second: i64, phase: &str| -> PostgresOpsRequest {
            parse(json!({
                "metadata": {"name": name, "namespace": "demo", "creationTimestamp": format!("2026-11-20T10:00:{second:02}Z")},
                "spec": {"type": "UpdateVersion", "databaseRef": {"name": database}},
                "status": {"phase": phase},
            }))
        };
        let (caches, mut feeds) = Caches::new();
        for (name, database, second, phase) in [
            ("newer", "orders", 3, "Pending"),
            ("b", "orders", 2, "Progressing"),
            ("a", "orders", 2, "Pending"),
            ("over", "orders", 1, "Failed"),
            ("beside", "billing", 1, "Pending"),
        ] {
            feeds.requests.apply(Event::Apply(request(name, database, second, phase)));
        }
        let names = |found: Vec<Arc<PostgresOpsRequest>>| -> Vec<String> {
            found.iter().filter_map(|it| it.metadata.name.clone()).collect()
        };
        assert_eq!(names(caches.active("demo", "orders")), ["a", "b", "newer"]);
        assert_eq!(names(caches.active("other", "orders")), [""; 0]);
        feeds.requests.apply(Event::Apply(request("a", "orders", 2, "Successful")));
        assert_eq!(names(caches.active("demo", "orders")), ["b", "newer"]);
    }

    #[test]
    fn keeps_of_a_database_only_what_a_decision_reads() {
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
        let (caches, mut feeds) = Caches::new();
        feeds.databases.apply(Event::Apply(database));
        let kept = caches.databases_where(|_| true).remove(0);
        let kept = serde_json::to_value(&*kept).unwrap();
        assert_eq!(kept["metadata"], json!({"name": "orders", "namespace": "demo"}));
        assert_eq!(kept["spec"], json!({"version": "13.16"}));
        assert_eq!(kept["status"]["conditions"].as_array().unwrap().len(), 1);
        assert_eq!(kept["status"]["phase"], "Ready");
    }
}
