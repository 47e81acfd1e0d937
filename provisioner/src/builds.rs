//! What the children of each database were last built from. While it is the same, they are not written again at each look at
//! the database, only from time to time, in case another client has changed them, and when one was deleted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use pgops_api::{Postgres, PostgresVersion};
use tokio::time::Instant;

use crate::design::Design;

/// Time after which the children are written again although nothing is known to have changed.
const REBUILD: Duration = Duration::from_mins(5);
/// Time after which it has to be checked whether they still exist: a little less than that between two looks at a database
/// that nothing happens to.
const CHECK: Duration = Duration::from_secs(50);

/// The versions of the objects that the children depend on, and what else was found out for them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inputs([Option<String>; 5]);

impl Inputs {
    pub fn new(
        database: &Postgres,
        entry: Option<&PostgresVersion>,
        workload: Option<&StatefulSet>,
        design: &Design,
    ) -> Self {
        Self([
            database.resource_version(),
            // Another entry may be in the same version.
            Some(database.spec.version.clone()),
            entry.and_then(ResourceExt::resource_version),
            workload.and_then(ResourceExt::resource_version),
            // It may have been accepted since, or rejected.
            design.settings_secret.clone(),
        ])
    }
}

/// What is known of the children of a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BuildState {
    /// They were built from something else, or long ago.
    Outdated,
    /// They were built from this, and may have been deleted since.
    Unchecked,
    /// They were built from this, or seen, a moment ago.
    Current,
}

struct Build {
    of: Inputs,
    written: Instant,
    checked: Instant,
}

/// The last build of each database, by the database's uid.
#[derive(Default)]
pub struct Builds(Mutex<HashMap<String, Build>>);

impl Builds {
    /// Whether the children are known to be as this requires.
    pub fn state(&self, database: &Postgres, inputs: &Inputs) -> BuildState {
        let known = self.known();
        let last = known.get(database.uid().as_deref().unwrap_or_default());
        match last.filter(|last| last.of == *inputs && last.written.elapsed() < REBUILD) {
            None => BuildState::Outdated,
            Some(last) if last.checked.elapsed() < CHECK => BuildState::Current,
            Some(_) => BuildState::Unchecked,
        }
    }

    /// The children were built from this.
    pub fn record(&self, database: &Postgres, inputs: Inputs) {
        let now = Instant::now();
        let build = Build { of: inputs, written: now, checked: now };
        self.known().insert(database.uid().unwrap_or_default(), build);
    }

    /// The children still exist.
    pub fn record_check(&self, database: &Postgres) {
        if let Some(last) = self.known().get_mut(database.uid().as_deref().unwrap_or_default()) {
            last.checked = Instant::now();
        }
    }

    /// Forgets a database that is removed.
    pub fn forget(&self, database: &Postgres) {
        self.known().remove(database.uid().as_deref().unwrap_or_default());
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Build>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::ExistingData;
    use crate::design::design;
    use crate::fixtures::{database, version, workload};
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn children_are_written_again_after_a_change_or_a_while() {
        let mut database = database(json!({}));
        let mut entry = version("13.16", "13.16", None);
        let mut workload = workload(&entry);
        let mut design = design(&database, Some(&entry), None, &ExistingData::default(), None).unwrap();
        let inputs =
            |database: &Postgres, entry: &PostgresVersion, workload: &StatefulSet, design: &Design| {
                Inputs::new(database, Some(entry), Some(workload), design)
            };
        let builds = Builds::default();
        let state = |database: &Postgres, inputs: &Inputs| builds.state(database, inputs);
        assert_eq!(state(&database, &inputs(&database, &entry, &workload, &design)), BuildState::Outdated);
        builds.record(&database, inputs(&database, &entry, &workload, &design));
        assert_eq!(state(&database, &inputs(&database, &entry, &workload, &design)), BuildState::Current);

        for (at, change) in ["database", "entry", "workload", "design"].into_iter().enumerate() {
            let changed = Some(format!("changed-{at}"));
            match change {
                "database" => database.metadata.resource_version = changed,
                "entry" => entry.metadata.resource_version = changed,
                "workload" => workload.metadata.resource_version = changed,
                _ => design.settings_secret = changed,
            }
            let inputs = inputs(&database, &entry, &workload, &design);
            assert_eq!(state(&database, &inputs), BuildState::Outdated, "{change}");
            builds.record(&database, inputs);
        }
        let inputs = inputs(&database, &entry, &workload, &design);
        for _ in 0..REBUILD.as_secs() / CHECK.as_secs() - 1 {
            tokio::time::advance(CHECK).await;
            assert_eq!(state(&database, &inputs), BuildState::Unchecked);
            builds.record_check(&database);
            assert_eq!(state(&database, &inputs), BuildState::Current);
        }
        tokio::time::advance(CHECK).await;
        assert_eq!(state(&database, &inputs), BuildState::Outdated, "checks do not replace a build");
        builds.forget(&database);
    }
}
