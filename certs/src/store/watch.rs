//! Notices that a single object may have changed.

use std::fmt::Debug;

use futures::stream::{Stream, StreamExt};
use kube::runtime::{WatchStreamExt, watcher::watch_object};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// An item whenever the object may have changed. What a watch misses, the periodic check finds.
pub(super) fn changes<K>(api: Api<K>, name: &str) -> impl Stream<Item = ()> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let name = name.to_owned();
    watch_object(api, &name).default_backoff().filter_map(move |change| {
        let item = match change {
            Ok(_) => Some(()),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), name, %error, "watch failed; the periodic check continues");
                None
            }
        };
        std::future::ready(item)
    })
}
