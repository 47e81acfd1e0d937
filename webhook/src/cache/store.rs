//! An in-memory copy of all objects of one kind: one writer, any number of readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kube::runtime::reflector::store::{Writer, WriterDropped};
use kube::runtime::reflector::{ObjectRef, Store as ReflectorStore};
use kube::runtime::watcher::Event;

use super::freshness::{Freshness, WatchReporter};
use super::prune::{Prune, prune_metadata};

/// The objects of one kind, for readers. It also counts its changes, so that a value derived from it is
/// computed again only after one.
pub struct Store<K: Prune> {
    objects: ReflectorStore<K>,
    changes: Arc<AtomicU64>,
}

/// Writes the events of a watch into a `Store`.
pub struct StoreWriter<K: Prune> {
    writer: Writer<K>,
    freshness: Freshness,
    changes: Arc<AtomicU64>,
}

impl<K: Prune> Store<K> {
    /// Waits until the first list is complete; fails if the writer was dropped before that.
    pub async fn wait_until_ready(&self) -> Result<(), WriterDropped> {
        self.objects.wait_until_ready().await
    }

    /// The object of that name, as last observed.
    pub fn get(&self, object: &ObjectRef<K>) -> Option<Arc<K>> {
        self.objects.get(object)
    }

    /// All objects.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.objects.state()
    }

    /// All objects that match.
    pub fn matching(&self, matches: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.objects.state_filter(matches)
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Number of events written so far.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}

impl<K: Prune> StoreWriter<K> {
    /// A writer of an empty store, whose watches report here.
    pub(super) fn new(freshness: Freshness) -> Self {
        Self { writer: Writer::default(), freshness, changes: Arc::default() }
    }

    /// Reports how one more watch fares whose events are written here.
    pub(super) fn reporter(&self) -> WatchReporter {
        self.freshness.watch(&K::kind(&()))
    }

    /// A reader of what is written here.
    pub(super) fn store(&self) -> Store<K> {
        Store { objects: self.writer.as_reader(), changes: self.changes.clone() }
    }

    /// Applies an event of a watch. Only the fields that a decision may read are kept.
    pub fn apply(&mut self, mut event: Event<K>) {
        if let Event::Apply(object) | Event::InitApply(object) = &mut event {
            prune_metadata(object.meta_mut());
            object.prune();
        }
        self.writer.apply_watcher_event(&event);
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The object of that name, as last observed.
    #[must_use]
    pub fn get(&self, object: &ObjectRef<K>) -> Option<Arc<K>> {
        self.writer.as_reader().get(object)
    }
}
