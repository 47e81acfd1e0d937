//! Watches one kind and keeps its store up to date.

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;

use anyhow::bail;
use futures::stream::{self, Stream, StreamExt};
use kube::Api;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{DefaultBackoff, Event, watcher};
use pgops_kube::watches;
use serde::de::DeserializeOwned;

use super::freshness::{MAX_AGE, WatchReporter};
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
    let unreadable = Unreadable::default();
    let mut events = pin!(follow(api, writer.reporter()));
    while let Some(event) = events.next().await {
        if let Some(event) = readable(event, &unreadable, |name| writer.get(name)) {
            writer.apply(event);
        }
    }
    bail!("the watch on {} ended", K::kind(&()))
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
    let unreadable = Unreadable::default();
    let mut merge = Merge::new(apis.len());
    let watches = apis
        .into_iter()
        .enumerate()
        .map(|(index, api)| follow(api, writer.reporter()).map(move |event| (index, event)).boxed());
    let mut events = futures::stream::select_all(watches.collect::<Vec<_>>());
    while let Some((index, event)) = events.next().await {
        let known = |name: &ObjectRef<K>| merge.pending(name).or_else(|| writer.get(name));
        let event = readable(event, &unreadable, known);
        for change in event.map(|event| merge.accept(index, event)).unwrap_or_default() {
            write(change, &mut writer);
        }
    }
    bail!("the watches on {} ended", K::kind(&()))
}

/// The events of a watch that never ends. Whatever goes wrong, a new list follows, and only when that is complete the watch
/// works again: it is the sign that nothing was missed.
fn follow<K>(
    api: Api<DeserializeGuard<K>>,
    reporter: WatchReporter,
) -> impl Stream<Item = Event<DeserializeGuard<K>>> + Send
where
    K: Prune + Debug + DeserializeOwned + Send + Sync,
{
    let begin = move || watcher(api.clone(), watches::config().page_size(PAGE_SIZE)).boxed();
    stream::unfold((begin(), DefaultBackoff::default()), move |(mut changes, mut backoff)| {
        let begin = begin.clone();
        let reporter = reporter.clone();
        async move {
            loop {
                match changes.next().await {
                    Some(Ok(event)) => {
                        if !matches!(event, Event::Init | Event::InitApply(_)) {
                            reporter.works();
                            backoff.reset();
                        }
                        return Some((event, (changes, backoff)));
                    }
                    Some(Err(error)) => {
                        tracing::warn!(kind = %K::kind(&()), %error, "failed to watch; retrying");
                    }
                    None => {}
                }
                reporter.fails();
                tokio::time::sleep(backoff.next().unwrap_or(MAX_AGE)).await;
                changes = begin();
            }
        }
    })
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
    use std::time::Duration;

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

    /// A connection that was lost without a word, then an API server that answers nothing, then one that answers again.
    #[tokio::test(start_paused = true)]
    async fn cache_knows_that_its_watch_is_dead_and_recovers_by_a_list() {
        let api = ScriptedApi::default();
        let (caches, writers) = Caches::new();
        let caches = Arc::new(caches);
        let requests = Api::namespaced(api.client(), "demo");
        tokio::spawn(run_reflector::<PostgresOpsRequest>(requests, writers.requests));
        tokio::time::sleep(Duration::from_mins(20)).await;
        assert_eq!(caches.stale(), None, "nothing happens, and each watch is answered");

        api.set(Answers::Nothing);
        tokio::time::sleep(Duration::from_mins(3)).await;
        assert_eq!(caches.stale().unwrap().0, "PostgresOpsRequest");

        api.set(Answers::All);
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_eq!(caches.stale(), None);
    }

    /// What the API server answers.
    #[derive(Clone, Copy, Default, PartialEq)]
    enum Answers {
        /// Lists; and watches, in which nothing happens until they end.
        #[default]
        All,
        /// Not a word, until the client gives up.
        Nothing,
    }

    #[derive(Clone, Default)]
    struct ScriptedApi(Arc<std::sync::Mutex<Answers>>);

    impl ScriptedApi {
        fn set(&self, answers: Answers) {
            *self.0.lock().unwrap() = answers;
        }

        fn client(&self) -> kube::Client {
            let answers = self.0.clone();
            let answer = move |request: axum::http::Request<kube::client::Body>| {
                let answers = answers.clone();
                async move {
                    if *answers.lock().unwrap() == Answers::Nothing {
                        tokio::time::sleep(watches::READ_TIMEOUT).await;
                        return Err(std::io::Error::from(std::io::ErrorKind::TimedOut));
                    }
                    let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
                    let body = if is_watch {
                        tokio::time::sleep(Duration::from_secs(30)).await;
                        String::new()
                    } else {
                        json!({ "metadata": { "resourceVersion": "1" }, "items": [] }).to_string()
                    };
                    Ok(axum::http::Response::new(kube::client::Body::from(body.into_bytes())))
                }
            };
            kube::Client::new(tower::service_fn(answer), "demo")
        }
    }
}
