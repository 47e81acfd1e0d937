//! What the children of each database were last built from. While it is the same, they are not written again at each look at
//! the database, only from time to time, in case another client has changed them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use pgops_api::{Postgres, PostgresVersion};
use tokio::time::Instant;

/// Time after which the children are written again although nothing is known to have changed.
const REBUILD: Duration = Duration::from_mins(5);

/// The versions of the objects that the children depend on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inputs([Option<String>; 4]);

impl Inputs {
    pub fn new(database: &Postgres, entry: Option<&PostgresVersion>, workload: Option<&StatefulSet>) -> Self {
        Self([
            database.resource_version(),
            // Another entry may be in the same version.
            Some(database.spec.version.clone()),
            entry.and_then(ResourceExt::resource_version),
            workload.and_then(ResourceExt::resource_version),
        ])
    }
}

/// The last build of each database, by the database's uid.
#[derive(Default)]
pub struct Builds(Mutex<HashMap<String, (Inputs, Instant)>>);

impl Builds {
    /// Whether the children were built from exactly this, and not long ago.
    pub fn is_current(&self, database: &Postgres, inputs: &Inputs) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = known.get(database.uid().as_deref().unwrap_or_default());
        last.is_some_and(|(of, at)| of == inputs && at.elapsed() < REBUILD)
    }

    /// The children were built from this.
    pub fn record(&self, database: &Postgres, inputs: Inputs) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(database.uid().unwrap_or_default(), (inputs, Instant::now()));
    }

    /// Forgets a database that is removed.
    pub fn forget(&self, database: &Postgres) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(database.uid().as_deref().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{database, version, workload};
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn children_are_written_again_after_a_change_or_a_while() {
        let mut database = database(json!({}));
        let mut entry = version("13.16", "13.16", None);
        let mut workload = workload(&entry);
        let inputs = |database: &Postgres, entry: &PostgresVersion, workload: &StatefulSet| {
            Inputs::new(database, Some(entry), Some(workload))
        };
        let builds = Builds::default();
        assert!(!builds.is_current(&database, &inputs(&database, &entry, &workload)));
        builds.record(&database, inputs(&database, &entry, &workload));
        assert!(builds.is_current(&database, &inputs(&database, &entry, &workload)));

        for (at, change) in ["database", "entry", "workload"].into_iter().enumerate() {
            let changed = Some(format!("changed-{at}"));
            match change {
                "database" => database.metadata.resource_version = changed,
                "entry" => entry.metadata.resource_version = changed,
                _ => workload.metadata.resource_version = changed,
            }
            assert!(!builds.is_current(&database, &inputs(&database, &entry, &workload)), "{change}");
            builds.record(&database, inputs(&database, &entry, &workload));
        }
        tokio::time::advance(REBUILD).await;
        assert!(!builds.is_current(&database, &inputs(&database, &entry, &workload)));
        builds.forget(&database);
    }
}
