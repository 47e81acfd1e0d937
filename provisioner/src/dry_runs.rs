//! When the API server was last asked about the next pod of each database. That takes a call for each object that the pod requires,
//! so it is repeated seldom while nothing is known to have changed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use pgops_api::Postgres;
use tokio::time::Instant;

/// What the answer depends on, as far as the provisioner sees it change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// Generation of the workload.
    pub template: Option<i64>,
    /// Uid of the upgrade that holds the database.
    pub upgrade: Option<String>,
}

struct DryRun {
    of: Subject,
    done: Instant,
    interval: Duration,
}

/// The last question about each database, by the database's uid.
#[derive(Default)]
pub struct DryRuns(Mutex<HashMap<String, DryRun>>);

impl DryRuns {
    /// Whether it has to be asked again.
    pub fn is_due(&self, database: &Postgres, subject: &Subject) -> bool {
        let known = self.known();
        let last = known.get(database.uid().as_deref().unwrap_or_default());
        last.is_none_or(|last| last.of != *subject || last.done.elapsed() >= last.interval)
    }

    /// It was asked, and is asked again after the interval.
    pub fn record(&self, database: &Postgres, of: Subject, interval: Duration) {
        let last = DryRun { of, done: Instant::now(), interval };
        self.known().insert(database.uid().unwrap_or_default(), last);
    }

    /// Forgets a database that is removed.
    pub fn forget(&self, database: &Postgres) {
        self.known().remove(database.uid().as_deref().unwrap_or_default());
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, DryRun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
