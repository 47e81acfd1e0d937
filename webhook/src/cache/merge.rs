//! One store's changes from the watches of several namespaces.
//!
//! Each watch lists its namespace at the start, and again whenever it may have missed something. To a store a list is
//! everything that exists, so the list of one namespace would remove the objects of the others. Here the first lists
//! become one list, and each later list becomes the changes that it shows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;

use super::prune::Prune;

/// A change of a store.
pub enum Change<K: Prune> {
    /// These are all objects.
    Replace(Vec<K>),
    Apply(K),
    Delete(ObjectRef<K>),
}

/// The state of the watches.
pub struct Merge<K: Prune> {
    watches: Vec<Watch<K>>,
    /// The objects seen so far, until the first list of every watch is complete.
    pending: Option<HashMap<ObjectRef<K>, K>>,
}

/// What is known of one namespace.
struct Watch<K: Prune> {
    names: HashSet<ObjectRef<K>>,
    /// Those of the names that the current list has not contained so far.
    unlisted: HashSet<ObjectRef<K>>,
    has_listed: bool,
}

impl<K: Prune> Merge<K> {
    /// Merges that many watches.
    pub fn new(watches: usize) -> Self {
        let watch = || Watch { names: HashSet::new(), unlisted: HashSet::new(), has_listed: false };
        Self { watches: std::iter::repeat_with(watch).take(watches).collect(), pending: Some(HashMap::new()) }
    }

    /// The object of that name, if the store does not have it yet.
    pub fn pending(&self, name: &ObjectRef<K>) -> Option<Arc<K>> {
        self.pending.as_ref()?.get(name).cloned().map(Arc::new)
    }

    /// The changes that follow from an event of a watch, by the watch's index.
    pub fn accept(&mut self, index: usize, event: Event<K>) -> Vec<Change<K>> {
        let Some(watch) = self.watches.get_mut(index) else { return Vec::new() };
        let changes = watch.accept(event);
        let Some(pending) = &mut self.pending else { return changes };
        for change in changes {
            match change {
                Change::Apply(object) => drop(pending.insert(ObjectRef::from_obj(&object), object)),
                Change::Delete(name) => drop(pending.remove(&name)),
                Change::Replace(_) => {}
            }
        }
        if !self.watches.iter().all(|watch| watch.has_listed) {
            return Vec::new();
        }
        let all = self.pending.take().unwrap_or_default();
        vec![Change::Replace(all.into_values().collect())]
    }
}

impl<K: Prune> Watch<K> {
    fn accept(&mut self, event: Event<K>) -> Vec<Change<K>> {
        match event {
            Event::Init => {
                self.unlisted.clone_from(&self.names);
                Vec::new()
            }
            Event::InitApply(object) => {
                self.unlisted.remove(&ObjectRef::from_obj(&object));
                self.apply(object)
            }
            Event::InitDone => {
                self.has_listed = true;
                let deleted = std::mem::take(&mut self.unlisted);
                self.names.retain(|name| !deleted.contains(name));
                deleted.into_iter().map(Change::Delete).collect()
            }
            Event::Apply(object) => self.apply(object),
            Event::Delete(object) => {
                let name = ObjectRef::from_obj(&object);
                self.names.remove(&name);
                vec![Change::Delete(name)]
            }
        }
    }

    fn apply(&mut self, object: K) -> Vec<Change<K>> {
        self.names.insert(ObjectRef::from_obj(&object));
        vec![Change::Apply(object)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::Postgres;
    use serde_json::json;

    fn database(namespace: &str, name: &str) -> Postgres {
        serde_json::from_value(json!({
            "metadata": { "namespace": namespace, "name": name }, "spec": { "version": "13.16" },
        }))
        .unwrap()
    }

    /// The changes as text: `=` for a list, `+` and `-`.
    fn describe(changes: Vec<Change<Postgres>>) -> String {
        let name = |name: ObjectRef<Postgres>| format!("{}/{}", name.namespace.unwrap(), name.name);
        let parts = changes.into_iter().map(|change| match change {
            Change::Replace(objects) => {
                let mut names: Vec<_> = objects.iter().map(|it| name(ObjectRef::from_obj(it))).collect();
                names.sort();
                format!("={}", names.join(","))
            }
            Change::Apply(object) => format!("+{}", name(ObjectRef::from_obj(&object))),
            Change::Delete(deleted) => format!("-{}", name(deleted)),
        });
        parts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn first_lists_are_one_list() {
        let mut merge = Merge::new(2);
        let mut accept = |index, event| describe(merge.accept(index, event));
        assert_eq!(accept(0, Event::Init), "");
        assert_eq!(accept(0, Event::InitApply(database("demo", "a"))), "");
        assert_eq!(accept(1, Event::Init), "");
        assert_eq!(accept(0, Event::InitDone), "", "the other namespace is not known yet");
        assert_eq!(accept(0, Event::Apply(database("demo", "b"))), "");
        assert_eq!(accept(0, Event::Delete(database("demo", "a"))), "");
        assert_eq!(accept(1, Event::InitApply(database("shop", "a"))), "");
        assert_eq!(accept(1, Event::InitDone), "=demo/b,shop/a");
        assert_eq!(accept(1, Event::Apply(database("shop", "c"))), "+shop/c");
    }

    #[test]
    fn later_list_of_a_namespace_leaves_the_others_alone() {
        let mut merge = Merge::new(2);
        for (index, namespace) in ["demo", "shop"].iter().enumerate() {
            merge.accept(index, Event::Init);
            merge.accept(index, Event::InitApply(database(namespace, "a")));
            merge.accept(index, Event::InitApply(database(namespace, "b")));
            merge.accept(index, Event::InitDone);
        }
        let mut accept = |index, event| describe(merge.accept(index, event));
        assert_eq!(accept(0, Event::Init), "");
        assert_eq!(accept(0, Event::InitApply(database("demo", "b"))), "+demo/b");
        assert_eq!(accept(0, Event::InitDone), "-demo/a");
        assert_eq!(accept(0, Event::Init), "");
        assert_eq!(accept(0, Event::InitApply(database("demo", "b"))), "+demo/b");
        assert_eq!(accept(0, Event::InitDone), "", "it was deleted before");
    }
}
