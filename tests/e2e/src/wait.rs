//! Waiting for an object's state by watching it.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, bail};
use kube::Api;
use kube::runtime::wait::await_condition;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Watches the object until `condition` holds; a timeout reports the object's last status.
///
/// `what` completes "timed out waiting for …". The object is `None` as long as it does not exist.
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
    // Boxed: the future of a watch is large, and every test holds several.
    let watch = Box::pin(await_condition(api.clone(), name, condition));
    if let Ok(found) = tokio::time::timeout(timeout, watch).await {
        return found.with_context(|| format!("failed to watch {name} for {what}"));
    }
    let last = api.get_opt(name).await.ok().flatten().map(|object| status(&object));
    let last = last.unwrap_or_else(|| "the object does not exist".to_owned());
    bail!("timed out after {timeout:?} waiting for {what} of {name}; last status: {last}")
}

fn status(object: &impl Serialize) -> String {
    let object = serde_json::to_value(object).unwrap_or_default();
    object.get("status").map_or_else(|| "none".to_owned(), ToString::to_string)
}
