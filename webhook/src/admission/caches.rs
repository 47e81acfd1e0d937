//! What the cluster holds, as plain data for the decision.

use std::cell::Cell;
use std::sync::{Arc, PoisonError, RwLock};

use kube::runtime::reflector::store::WriterDropped;
use kube::runtime::reflector::{ObjectRef, Store};
use pgops_api::admission::Facts;
use pgops_api::matrix::Catalog;
use pgops_api::{Postgres, PostgresOpsRequest, PostgresVersion};

/// Reflected objects of the three kinds. They may be some milliseconds behind the API server.
#[derive(Debug)]
pub struct Caches {
    databases: Store<Postgres>,
    requests: Store<PostgresOpsRequest>,
    versions: Store<PostgresVersion>,
    parsed: RwLock<Parsed>,
}

/// The catalog, and the very objects that it was read from.
#[derive(Debug, Default)]
struct Parsed {
    sources: Vec<Arc<PostgresVersion>>,
    catalog: Arc<Catalog>,
}

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
    /// Reads from these stores; whoever made them keeps them up to date.
    #[must_use]
    pub fn new(
        databases: Store<Postgres>,
        requests: Store<PostgresOpsRequest>,
        versions: Store<PostgresVersion>,
    ) -> Self {
        Self { databases, requests, versions, parsed: RwLock::default() }
    }

    /// Waits until each store has been filled once; fails if one never will be.
    pub async fn wait_until_ready(&self) -> Result<(), WriterDropped> {
        self.versions.wait_until_ready().await?;
        self.databases.wait_until_ready().await?;
        self.requests.wait_until_ready().await
    }

    /// What a decision on the request rests on. The request's namespace must be set.
    #[must_use]
    pub fn snapshot(&self, request: &PostgresOpsRequest) -> Snapshot {
        let namespace = request.metadata.namespace.as_deref().unwrap_or_default();
        let database = &request.spec.database_ref.name;
        let own_name = request.metadata.name.as_deref();
        let mut active = self.active(namespace, database);
        active.retain(|other| other.metadata.name.as_deref() != own_name);
        Snapshot { database: self.database(namespace, database), catalog: self.catalog(), active }
    }

    /// The database of that name.
    #[must_use]
    pub fn database(&self, namespace: &str, name: &str) -> Option<Arc<Postgres>> {
        self.databases.get(&ObjectRef::new(name).within(namespace))
    }

    /// Requests that may still change the database, oldest first.
    #[must_use]
    pub fn active(&self, namespace: &str, database: &str) -> Vec<Arc<PostgresOpsRequest>> {
        let mut active = self.requests.state_filter(|request| {
            request.spec.database_ref.name == database
                && request.metadata.namespace.as_deref() == Some(namespace)
                && request.is_active()
        });
        active.sort_by(|a, b| age(a).cmp(&age(b)));
        active
    }

    /// All databases that fit.
    #[must_use]
    pub fn databases_where(&self, fits: impl Fn(&Postgres) -> bool) -> Vec<Arc<Postgres>> {
        self.databases.state_filter(fits)
    }

    /// All requests that fit, whether they may still act or not.
    #[must_use]
    pub fn requests_where(&self, fits: impl Fn(&PostgresOpsRequest) -> bool) -> Vec<Arc<PostgresOpsRequest>> {
        self.requests.state_filter(fits)
    }

    /// The compatibility matrix; parsed again only when an entry has changed.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        let parsed = self.parsed.read().unwrap_or_else(PoisonError::into_inner);
        if self.is_current(&parsed.sources) {
            return parsed.catalog.clone();
        }
        drop(parsed);
        let sources = self.versions.state();
        let named = sources.iter().filter_map(|entry| Some((entry.metadata.name.as_deref()?, &entry.spec)));
        let catalog = Arc::new(Catalog::new(named));
        *self.parsed.write().unwrap_or_else(PoisonError::into_inner) =
            Parsed { catalog: catalog.clone(), sources };
        catalog
    }

    /// Whether the store holds these very objects. A changed object is a new allocation, and the old one
    /// cannot be reused for it, since `sources` keeps it alive. Copies nothing: every review asks.
    fn is_current(&self, sources: &[Arc<PostgresVersion>]) -> bool {
        let seen = Cell::new(0);
        let is_new = |entry: &PostgresVersion| {
            let source = sources.get(seen.replace(seen.get() + 1));
            !source.is_some_and(|source| std::ptr::eq(Arc::as_ptr(source), entry))
        };
        self.versions.find(is_new).is_none() && seen.get() == sources.len()
    }
}

/// Orders requests as they were created; the name decides within the same second.
fn age(request: &PostgresOpsRequest) -> (Option<i64>, Option<&str>) {
    let created = request.metadata.creation_timestamp.as_ref();
    (created.map(|time| time.0.as_second()), request.metadata.name.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::reflector::store::Writer;
    use kube::runtime::watcher::Event;
    use pgops_api::postgresversion::PostgresVersionSpec;

    fn entry(name: &str, version: &str) -> PostgresVersion {
        PostgresVersion::new(
            name,
            PostgresVersionSpec { version: version.into(), ..PostgresVersionSpec::default() },
        )
    }

    #[test]
    fn parses_the_catalog_again_only_when_an_entry_has_changed() {
        let mut versions = Writer::<PostgresVersion>::default();
        let caches =
            Caches::new(Writer::default().as_reader(), Writer::default().as_reader(), versions.as_reader());
        assert!(caches.catalog().entries().is_empty());

        for (name, version) in [("13", "13.16"), ("17", "17.11")] {
            versions.apply_watcher_event(&Event::Apply(entry(name, version)));
        }
        let first = caches.catalog();
        assert_eq!(first.entries().len(), 2);
        assert!(Arc::ptr_eq(&first, &caches.catalog()), "nothing changed, nothing was parsed");

        versions.apply_watcher_event(&Event::Apply(entry("13", "13.23")));
        assert_eq!(caches.catalog().get("13").unwrap().side.version, "13.23");
        versions.apply_watcher_event(&Event::Delete(entry("13", "13.23")));
        assert!(caches.catalog().get("13").is_none());
        assert!(caches.catalog().get("17").is_some());
    }
}
