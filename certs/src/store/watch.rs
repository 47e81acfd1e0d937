//! Notices that a single object may have changed.

use std::fmt::Debug;

use futures::stream::{Stream, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Event, watcher};
use kube::{Api, Resource};
use pgops_kube::watches;
use serde::de::DeserializeOwned;

/// An item whenever the object may have changed. What a watch misses, the periodic check finds.
pub(super) fn changes<K>(api: Api<K>, name: &str) -> impl Stream<Item = ()> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let name = name.to_owned();
    let config = watches::config().fields(&format!("metadata.name={name}"));
    watcher(api, config).default_backoff().filter_map(move |change| {
        let item = match change {
            // A list begins, or continues.
            Ok(Event::Init | Event::InitApply(_)) => None,
            Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => Some(()),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), name, %error, "watch failed; the periodic check continues");
                None
            }
        };
        std::future::ready(item)
    })
}
