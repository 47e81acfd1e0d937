//! Waiting for an object to become what it should be, by watching it.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, bail};
use kube::Api;
use kube::runtime::wait::await_condition;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Waits until `is_so` holds for the object, watching it; says what it was at last when it never does.
///
/// `what` completes "timed out waiting for …". The object is `None` as long as it does not exist.
pub async fn wait_for<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    longest: Duration,
    is_so: impl Fn(Option<&K>) -> bool,
) -> anyhow::Result<Option<K>>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    // In a box: the future of a watch is large, and every test holds several.
    let condition = Box::pin(await_condition(api.clone(), name, is_so));
    if let Ok(found) = tokio::time::timeout(longest, condition).await {
        return found.with_context(|| format!("failed to watch {name} for {what}"));
    }
    let last = api.get_opt(name).await.ok().flatten().map(|object| status(&object));
    let last = last.unwrap_or_else(|| "there is no such object".to_owned());
    bail!("timed out after {longest:?} waiting for {what} of {name}; at last: {last}")
}

fn status(object: &impl Serialize) -> String {
    let object = serde_json::to_value(object).unwrap_or_default();
    object.get("status").map_or_else(|| "it has no status".to_owned(), ToString::to_string)
}
