//! Watches one kind and keeps its store up to date.

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;

use anyhow::bail;
use futures::StreamExt;
use kube::Api;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;

use super::merge::{Change, Merge};
use super::prune::Prune;
use super::store::StoreWriter;
use super::unreadable::Unreadable;

/// Objects per page of a list: the memory for one response with all objects of a large cluster would never be
/// returned to the system.
const PAGE_SIZE: u32 = 50;

/// Watches all objects of the kind. Errors are retried with backoff: the API server may restart, a CRD may be
/// installed later. An object that cannot be read is logged and left out; the others are not affected.
pub async fn run_reflector<K>(
    api: Api<DeserializeGuard<K>>,
    mut writer: StoreWriter<K>,
) -> anyhow::Result<Infallible>
where
    K: Prune + Debug + DeserializeOwned + Send + Sync,
{
    let kind = K::kind(&());
    let unreadable = Unreadable::default();
    let config = watcher::Config::default().page_size(PAGE_SIZE);
    let mut changes = pin!(watcher(api, config).default_backoff());
    while let Some(change) = changes.next().await {
        match change {
            Ok(event) => {
                if let Some(event) = readable(event, &unreadable, |name| writer.get(name)) {
                    writer.apply(event);
                }
            }
            Err(error) => tracing::warn!(%kind, %error, "failed to watch; retrying"),
        }
    }
    bail!("the watch on {kind} ended")
}

/// The same for the objects of several namespaces, each of which is watched by itself.
pub async fn run_reflectors<K>(
    mut apis: Vec<Api<DeserializeGuard<K>>>,
    mut writer: StoreWriter<K>,
) -> anyhow::Result<Infallible>
where
    K: Prune + Debug + DeserializeOwned + Send + Sync,
{
    if apis.len() == 1
        && let Some(api) = apis.pop()
    {
        return run_reflector(api, writer).await;
    }
    let kind = K::kind(&());
    let unreadable = Unreadable::default();
    let mut merge = Merge::new(apis.len());
    let watches = apis.into_iter().enumerate().map(|(index, api)| {
        let config = watcher::Config::default().page_size(PAGE_SIZE);
        watcher(api, config).default_backoff().map(move |change| (index, change)).boxed()
    });
    let mut changes = futures::stream::select_all(watches);
    while let Some((index, change)) = changes.next().await {
        match change {
            Ok(event) => {
                let known = |name: &ObjectRef<K>| merge.pending(name).or_else(|| writer.get(name));
                let event = readable(event, &unreadable, known);
                for change in event.map(|event| merge.accept(index, event)).unwrap_or_default() {
                    write(change, &mut writer);
                }
            }
            Err(error) => tracing::warn!(%kind, %error, "failed to watch; retrying"),
        }
    }
    bail!("the watches on {kind} ended")
}

fn write<K: Prune>(change: Change<K>, writer: &mut StoreWriter<K>) {
    match change {
        Change::Replace(objects) => {
            writer.apply(Event::Init);
            for object in objects {
                writer.apply(Event::InitApply(object));
            }
            writer.apply(Event::InitDone);
        }
        Change::Apply(object) => writer.apply(Event::Apply(object)),
        Change::Delete(name) => {
            if let Some(known) = writer.get(&name) {
                writer.apply(Event::Delete((*known).clone()));
            }
        }
    }
}

/// The event with an object that can be read. One that can no longer be read counts as deleted: its previous
/// state would be wrong.
fn readable<K: Prune>(
    event: Event<DeserializeGuard<K>>,
    unreadable: &Unreadable,
    known: impl Fn(&ObjectRef<K>) -> Option<Arc<K>>,
) -> Option<Event<K>> {
    let deleted = |name: ObjectRef<K>| known(&name).map(|known| Event::Delete((*known).clone()));
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(unreadable.take(object)?),
        Event::Apply(object) => {
            let name = ObjectRef::from_obj(&object).into_kind_unchecked(());
            unreadable.take(object).map_or_else(|| deleted(name), |object| Some(Event::Apply(object)))?
        }
        Event::Delete(object) => deleted(ObjectRef::from_obj(&object).into_kind_unchecked(()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Caches;
    use pgops_api::PostgresOpsRequest;
    use serde_json::json;

    fn wire(name: &str, type_: &str) -> DeserializeGuard<PostgresOpsRequest> {
        serde_json::from_value(json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
            "metadata": {"name": name, "namespace": "demo", "uid": name},
            "spec": {"type": type_, "databaseRef": {"name": "orders"}},
        }))
        .unwrap()
    }

    #[test]
    fn unreadable_object_is_left_out_and_hides_no_other() {
        let (caches, mut writers) = Caches::new();
        let unreadable = Unreadable::default();
        let mut follow = |event| {
            if let Some(event) = readable(event, &unreadable, |name| writers.requests.get(name)) {
                writers.requests.apply(event);
            }
            let found = caches.requests_where(|_| true);
            let mut names: Vec<_> = found.iter().filter_map(|it| it.metadata.name.clone()).collect();
            names.sort();
            names.join(" ")
        };
        follow(Event::Init);
        follow(Event::InitApply(wire("newer", "Teleport")));
        follow(Event::InitApply(wire("a", "UpdateVersion")));
        follow(Event::InitApply(wire("b", "UpdateVersion")));
        assert_eq!(follow(Event::InitDone), "a b");
        assert_eq!(follow(Event::Apply(wire("newer", "Teleport"))), "a b");
        assert_eq!(follow(Event::Apply(wire("a", "Teleport"))), "b", "its previous state would be wrong");
        assert_eq!(follow(Event::Delete(wire("b", "Teleport"))), "");
        assert_eq!(follow(Event::Delete(wire("newer", "Teleport"))), "");
        assert_eq!(follow(Event::Apply(wire("newer", "UpdateVersion"))), "newer");
    }
}
