//! Whether the caches still follow the cluster: how long ago the API server gave the last sign of life.
//!
//! A watch that fails is followed by a new list. Until that is complete, what was missed is unknown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a watch may fail before its cache is stale: the API server may restart.
pub const MAX_AGE: Duration = Duration::from_secs(30);

/// The watches of all caches.
#[derive(Clone, Default)]
pub struct Freshness(Arc<Mutex<Vec<WatchState>>>);

/// Reports how one watch fares.
#[derive(Clone)]
pub struct WatchReporter {
    all: Freshness,
    index: usize,
}

struct WatchState {
    kind: String,
    /// Since when it fails; none while it works.
    failing_since: Option<Instant>,
}

impl Freshness {
    /// One more watch, which has yet to begin.
    pub fn watch(&self, kind: &str) -> WatchReporter {
        let mut watches = self.lock();
        watches.push(WatchState { kind: kind.to_owned(), failing_since: None });
        WatchReporter { all: self.clone(), index: watches.len() - 1 }
    }

    /// The kind of the cache that has been behind for the longest time, and how long, if that is too long.
    #[must_use]
    pub fn stalest(&self) -> Option<(String, Duration)> {
        let watches = self.lock();
        let failing = watches.iter().filter_map(|watch| Some((&watch.kind, watch.failing_since?.elapsed())));
        let stale = failing.filter(|(_, age)| *age > MAX_AGE).max_by_key(|(_, age)| *age);
        stale.map(|(kind, age)| (kind.clone(), age))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<WatchState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchReporter {
    /// The API server answered, and nothing is missing.
    pub fn works(&self) {
        self.set(|_| None);
    }

    /// The watch ended with an error.
    pub fn fails(&self) {
        self.set(|since| since.or_else(|| Some(Instant::now())));
    }

    fn set(&self, change: impl FnOnce(Option<Instant>) -> Option<Instant>) {
        if let Some(watch) = self.all.lock().get_mut(self.index) {
            watch.failing_since = change(watch.failing_since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn cache_is_stale_if_its_watch_fails_for_long() {
        let freshness = Freshness::default();
        let [databases, requests] = ["Postgres", "PostgresOpsRequest"].map(|kind| freshness.watch(kind));
        databases.fails();
        tokio::time::advance(Duration::from_secs(20)).await;
        databases.fails();
        requests.fails();
        assert_eq!(freshness.stalest(), None, "the API server may restart");
        tokio::time::advance(Duration::from_secs(15)).await;
        assert_eq!(freshness.stalest(), Some(("Postgres".to_owned(), Duration::from_secs(35))));
        databases.works();
        assert_eq!(freshness.stalest(), None);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(freshness.stalest().unwrap().0, "PostgresOpsRequest");
    }
}
