//! A value computed from a store, and computed again only after the store has changed.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::prune::Prune;
use super::store::Store;

/// The value, with the number of changes that it includes.
pub struct Derived<T>(ArcSwap<(u64, Arc<T>)>);

impl<T: Default> Default for Derived<T> {
    /// The value for a store that was never written to.
    fn default() -> Self {
        Self(ArcSwap::from_pointee((0, Arc::default())))
    }
}

impl<T> Derived<T> {
    /// The current value.
    pub fn get<K: Prune>(&self, store: &Store<K>, derive: impl FnOnce(&[Arc<K>]) -> T) -> Arc<T> {
        // Read before the objects: the next reader computes the value again for what is written in between.
        let changes = store.changes();
        let known = self.0.load();
        if known.0 == changes {
            return known.1.clone();
        }
        let derived = Arc::new(derive(&store.all()));
        self.0.store(Arc::new((changes, derived.clone())));
        derived
    }
}
