//! The `caBundle` of the webhook configurations: how API servers learn whom to trust.

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Pause after a failed write.
const RETRY: Duration = Duration::from_secs(5);

/// Why the bundle cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The watch on a configuration ended, which it never does by itself.
    #[error("the watch on {kind} \"{name}\" ended")]
    WatchEnded {
        /// Kind of the configuration.
        kind: String,
        /// Name of the configuration.
        name: String,
    },
}

/// A configuration of either kind.
pub trait Configuration:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static
{
    /// Name and client of each webhook in it.
    fn clients(&self) -> Vec<(&str, &WebhookClientConfig)>;
}

impl Configuration for ValidatingWebhookConfiguration {
    fn clients(&self) -> Vec<(&str, &WebhookClientConfig)> {
        self.webhooks.iter().flatten().map(|hook| (hook.name.as_str(), &hook.client_config)).collect()
    }
}

impl Configuration for MutatingWebhookConfiguration {
    fn clients(&self) -> Vec<(&str, &WebhookClientConfig)> {
        self.webhooks.iter().flatten().map(|hook| (hook.name.as_str(), &hook.client_config)).collect()
    }
}

/// Writes the bundle into the named configuration now, and again whenever it was changed.
pub async fn keep<K: Configuration>(
    configurations: &Api<K>,
    name: &str,
    bundle: &[u8],
) -> Result<Infallible, BundleError> {
    let kind = K::kind(&());
    let mut changes = pin!(watcher::watch_object(configurations.clone(), name).default_backoff());
    while let Some(change) = futures::StreamExt::next(&mut changes).await {
        match change {
            Ok(Some(_)) => converge(configurations, name, bundle).await,
            Ok(None) => {
                tracing::warn!(%kind, name, "there is no such configuration: nothing calls this webhook");
            }
            Err(error) => tracing::warn!(%kind, name, %error, "failed to watch a webhook configuration"),
        }
    }
    Err(BundleError::WatchEnded { kind: kind.into_owned(), name: name.to_owned() })
}

/// Reads again before each try: a webhook that is gone meanwhile must not come back as a fragment.
async fn converge<K: Configuration>(configurations: &Api<K>, name: &str, bundle: &[u8]) {
    let kind = K::kind(&());
    while let Err(error) = write(configurations, name, bundle).await {
        tracing::warn!(%kind, name, %error, "failed to write the caBundle of a webhook configuration");
        tokio::time::sleep(RETRY).await;
    }
}

async fn write<K: Configuration>(configurations: &Api<K>, name: &str, bundle: &[u8]) -> kube::Result<()> {
    let Some(configuration) = configurations.get_opt(name).await? else { return Ok(()) };
    if let Some(patch) = patch(&configuration, bundle) {
        configurations.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
        tracing::info!(kind = %K::kind(&()), name, "wrote the caBundle of a webhook configuration");
    }
    Ok(())
}

/// A strategic merge patch of the webhooks whose bundle differs; `None` if none does.
fn patch(configuration: &impl Configuration, bundle: &[u8]) -> Option<Value> {
    let differs =
        |client: &WebhookClientConfig| client.ca_bundle.as_ref().is_none_or(|current| current.0 != bundle);
    let stale: Vec<Value> = configuration
        .clients()
        .into_iter()
        .filter(|(_, client)| differs(client))
        .map(|(name, _)| json!({ "name": name, "clientConfig": { "caBundle": ByteString(bundle.to_vec()) } }))
        .collect();
    (!stale.is_empty()).then(|| json!({ "webhooks": stale }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::admissionregistration::v1::ValidatingWebhook;

    fn configuration(hooks: &[(&str, Option<&str>)]) -> ValidatingWebhookConfiguration {
        let hook = |(name, bundle): &(&str, Option<&str>)| ValidatingWebhook {
            name: (*name).to_owned(),
            client_config: WebhookClientConfig {
                ca_bundle: bundle.map(|bundle| ByteString(bundle.into())),
                ..WebhookClientConfig::default()
            },
            ..ValidatingWebhook::default()
        };
        ValidatingWebhookConfiguration {
            webhooks: Some(hooks.iter().map(hook).collect()),
            ..ValidatingWebhookConfiguration::default()
        }
    }

    #[test]
    fn patches_only_the_webhooks_that_differ() {
        let configuration = configuration(&[("a", Some("ours")), ("b", None), ("c", Some("old"))]);
        assert_eq!(
            patch(&configuration, b"ours").unwrap(),
            json!({ "webhooks": [
                { "name": "b", "clientConfig": { "caBundle": "b3Vycw==" } },
                { "name": "c", "clientConfig": { "caBundle": "b3Vycw==" } },
            ]})
        );
    }

    #[test]
    fn leaves_a_configuration_alone_that_has_the_bundle() {
        assert_eq!(patch(&configuration(&[("a", Some("ours"))]), b"ours"), None);
        assert_eq!(patch(&configuration(&[]), b"ours"), None);
    }
}
