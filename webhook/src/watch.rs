//! Keeps a mirror of one kind up to date.

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;

use anyhow::bail;
use futures::StreamExt;
use kube::Api;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;

use crate::caches::{Feed, Slim};
use crate::unreadable::Unreadable;

/// Objects that are asked for at once: all of a large cluster at once would stay in memory for good.
const PAGE: u32 = 50;

/// Follows all objects of the kind. Errors are waited out: the API server may restart, a CRD may come
/// later. An object that cannot be read is told and left out, and hides no other.
pub async fn fill<K>(api: Api<DeserializeGuard<K>>, mut feed: Feed<K>) -> anyhow::Result<Infallible>
where
    K: Slim + Debug + DeserializeOwned + Send + Sync,
{
    let kind = K::kind(&());
    let unreadable = Unreadable::default();
    let mut changes = pin!(watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff());
    while let Some(change) = changes.next().await {
        match change {
            Ok(event) => {
                if let Some(event) = readable(event, &unreadable, &feed) {
                    feed.apply(event);
                }
            }
            Err(error) => tracing::warn!(%kind, %error, "failed to watch; tries again"),
        }
    }
    bail!("the watch on {kind} ended")
}

/// The event as one about an object that can be read. One that cannot be read any more is as good as gone:
/// what it was before would be a lie.
fn readable<K: Slim>(
    event: Event<DeserializeGuard<K>>,
    unreadable: &Unreadable,
    feed: &Feed<K>,
) -> Option<Event<K>> {
    let gone = |name: ObjectRef<K>| feed.get(&name).map(|known| Event::Delete((*known).clone()));
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(unreadable.take(object)?),
        Event::Apply(object) => {
            let name = ObjectRef::from_obj(&object).into_kind_unchecked(());
            unreadable.take(object).map_or_else(|| gone(name), |object| Some(Event::Apply(object)))?
        }
        Event::Delete(object) => gone(ObjectRef::from_obj(&object).into_kind_unchecked(()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caches::Caches;
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
    fn an_object_that_cannot_be_read_is_left_out_and_hides_no_other() {
        let (caches, mut feeds) = Caches::new();
        let unreadable = Unreadable::default();
        let mut follow = |event| {
            if let Some(event) = readable(event, &unreadable, &feeds.requests) {
                feeds.requests.apply(event);
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
        assert_eq!(follow(Event::Apply(wire("a", "Teleport"))), "b", "what it was before would be a lie");
        assert_eq!(follow(Event::Delete(wire("b", "Teleport"))), "");
        assert_eq!(follow(Event::Delete(wire("newer", "Teleport"))), "");
        assert_eq!(follow(Event::Apply(wire("newer", "UpdateVersion"))), "newer");
    }
}
