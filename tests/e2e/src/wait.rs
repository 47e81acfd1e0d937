//! Waiting for a condition itself: for an object's state by watching it, for anything else by asking again.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use anyhow::bail;
use futures::StreamExt;
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watch_object};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// Pause between two checks of what cannot be watched.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Watches the object until `condition` holds; a timeout reports the object's last status.
///
/// `what` completes "timed out waiting for …". The object is `None` as long as it does not exist. A watch that breaks, for
/// example because the API server is busy or restarts, begins again.
pub async fn wait_for<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    timeout: Duration,
    condition: impl Fn(Option<&K>) -> bool,
) -> anyhow::Result<Option<K>>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let mut last_error = None;
    // Boxed: the future of a watch is large, and every test holds several.
    let watch = Box::pin(watch_until(api.clone(), name, condition, &mut last_error));
    let found = tokio::time::timeout(timeout, watch).await;
    if let Ok(found) = found {
        return Ok(found);
    }
    let last = api.get_opt(name).await.ok().flatten().map(|object| status(&object));
    let last = last.unwrap_or_else(|| "the object does not exist".to_owned());
    let broken = last_error.map(|error| format!("; the watch broke: {error}")).unwrap_or_default();
    bail!("timed out after {timeout:?} waiting for {what} of {name}; last status: {last}{broken}")
}

async fn watch_until<K>(
    api: Api<K>,
    name: &str,
    condition: impl Fn(Option<&K>) -> bool,
    last_error: &mut Option<watcher::Error>,
) -> Option<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut states = pin!(watch_object(api, name).default_backoff());
    while let Some(state) = states.next().await {
        match state {
            Ok(state) if condition(state.as_ref()) => return state,
            Ok(_) => {}
            Err(error) => *last_error = Some(error),
        }
    }
    // A watch does not end.
    std::future::pending().await
}

/// Repeats a check until it succeeds, and returns its result; a timeout reports the last error.
///
/// `what` completes "timed out waiting for …".
pub async fn eventually<T>(
    what: &str,
    timeout: Duration,
    check: impl AsyncFn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        match check().await {
            Ok(result) => return Ok(result),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("timed out after {timeout:?} waiting for {what}")));
            }
            Err(_) => tokio::time::sleep(CHECK_INTERVAL).await,
        }
    }
}

fn status(object: &impl Serialize) -> String {
    let object = serde_json::to_value(object).unwrap_or_default();
    object.get("status").map_or_else(|| "none".to_owned(), ToString::to_string)
}
