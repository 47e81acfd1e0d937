//! The webhook configurations, whose `caBundle` tells API servers which CAs to trust.

use std::fmt::Debug;
use std::time::Instant;

use futures::stream::{self, Stream};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use pgops_kube::ApiError;
use pgops_kube::patch::conditioned;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::watch::changes;
use crate::clock::Clock;
use crate::pki::Bundle;

/// Why the webhook configurations cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A call of the API server failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A configuration does not exist, so API servers do not call this webhook.
    #[error(
        "{kind} \"{name}\" does not exist, so API servers do not call this webhook: install the chart, which creates it"
    )]
    Missing {
        /// Kind of the configuration.
        kind: &'static str,
        /// Name of the configuration.
        name: String,
    },
}

/// The validating and the mutating configuration, which have one name.
#[derive(Clone)]
pub(crate) struct Configurations {
    validating: Api<ValidatingWebhookConfiguration>,
    mutating: Api<MutatingWebhookConfiguration>,
    name: String,
}

/// Both configurations as they were read. A missing one calls no webhook, so it counts as up to date.
pub(crate) struct Observed {
    validating: Option<ValidatingWebhookConfiguration>,
    mutating: Option<MutatingWebhookConfiguration>,
    /// When both had been read.
    pub at: Instant,
}

impl Configurations {
    pub(crate) fn new(client: &Client, name: &str) -> Self {
        Self {
            validating: Api::all(client.clone()),
            mutating: Api::all(client.clone()),
            name: name.to_owned(),
        }
    }

    pub(crate) async fn read(&self, clock: &Clock) -> Result<Observed, ConfigurationError> {
        let validating = read_one(&self.validating, &self.name).await?;
        let mutating = read_one(&self.mutating, &self.name).await?;
        Ok(Observed { validating, mutating, at: clock.monotonic() })
    }

    /// Writes the bundle to each webhook that has another one, unless a configuration has changed since it
    /// was read.
    pub(crate) async fn write(&self, observed: &Observed, bundle: &Bundle) -> Result<(), ConfigurationError> {
        let bundle = bundle.to_pem().into_bytes();
        write_one(&self.validating, &self.name, observed.validating.as_ref(), &bundle).await?;
        write_one(&self.mutating, &self.name, observed.mutating.as_ref(), &bundle).await
    }

    /// Fails unless both configurations exist.
    pub(crate) fn require_both(&self, observed: &Observed) -> Result<(), ConfigurationError> {
        let missing = |kind| Err(ConfigurationError::Missing { kind, name: self.name.clone() });
        match observed {
            Observed { validating: None, .. } => missing("ValidatingWebhookConfiguration"),
            Observed { mutating: None, .. } => missing("MutatingWebhookConfiguration"),
            Observed { .. } => Ok(()),
        }
    }

    /// An item whenever one of them may have changed.
    pub(crate) fn changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        let validating = changes(self.validating.clone(), &self.name);
        stream::select(validating, changes(self.mutating.clone(), &self.name))
    }
}

impl Observed {
    /// Whether every webhook trusts all of these certificates.
    pub(crate) fn all_trust(&self, bundle: &Bundle) -> bool {
        self.bundles().iter().all(|trusted| trusted.contains_all(bundle))
    }

    /// The unexpired certificates that at least one webhook trusts.
    pub(crate) fn trusted_by_any(&self, now: Timestamp) -> Bundle {
        self.bundles().iter().fold(Bundle::default(), |all, trusted| all.union(trusted)).valid(now)
    }

    fn bundles(&self) -> Vec<Bundle> {
        let validating = self.validating.iter().flat_map(Configuration::clients);
        let clients = validating.chain(self.mutating.iter().flat_map(Configuration::clients));
        clients
            .map(|(_, client)| {
                client.ca_bundle.as_ref().map_or_else(Bundle::default, |ca| Bundle::read(&ca.0))
            })
            .collect()
    }
}

/// A webhook configuration of either kind.
trait Configuration: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned {
    /// Name and client configuration of each webhook.
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

async fn read_one<K: Configuration>(api: &Api<K>, name: &str) -> Result<Option<K>, ConfigurationError> {
    Ok(api.get_opt(name).await.map_err(ApiError::on::<K>("read", name))?)
}

async fn write_one<K: Configuration>(
    api: &Api<K>,
    name: &str,
    observed: Option<&K>,
    bundle: &[u8],
) -> Result<(), ConfigurationError> {
    let Some(patch) = observed.and_then(|observed| patch(observed, bundle)) else { return Ok(()) };
    let written = api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await;
    match written.map_err(ApiError::on::<K>("write the caBundle of", name)) {
        Ok(_) => {
            tracing::info!(kind = %K::kind(&()), name, "wrote the caBundle of a webhook configuration");
            Ok(())
        }
        // Another client was faster; its change triggers the next reconciliation.
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A strategic merge patch of the webhooks whose bundle differs; `None` if none does. It is conditioned on
/// the `resourceVersion` that was read: a webhook that was deleted since must not be recreated as a fragment,
/// and a replica that slept must not restore an older bundle.
fn patch(observed: &impl Configuration, bundle: &[u8]) -> Option<Value> {
    let differs =
        |client: &WebhookClientConfig| client.ca_bundle.as_ref().is_none_or(|current| current.0 != bundle);
    let stale: Vec<Value> = observed
        .clients()
        .into_iter()
        .filter(|(_, client)| differs(client))
        .map(|(name, _)| json!({ "name": name, "clientConfig": { "caBundle": ByteString(bundle.to_vec()) } }))
        .collect();
    (!stale.is_empty()).then(|| conditioned(observed, json!({ "webhooks": stale })))
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
        let mut configuration = ValidatingWebhookConfiguration {
            webhooks: Some(hooks.iter().map(hook).collect()),
            ..ValidatingWebhookConfiguration::default()
        };
        configuration.metadata.resource_version = Some("7".to_owned());
        configuration
    }

    #[test]
    fn patch_has_the_differing_webhooks_and_the_read_version() {
        let configuration = configuration(&[("a", Some("ours")), ("b", None), ("c", Some("old"))]);
        assert_eq!(
            patch(&configuration, b"ours").unwrap(),
            json!({ "metadata": { "resourceVersion": "7" }, "webhooks": [
                { "name": "b", "clientConfig": { "caBundle": "b3Vycw==" } },
                { "name": "c", "clientConfig": { "caBundle": "b3Vycw==" } },
            ]})
        );
    }

    #[test]
    fn up_to_date_configuration_is_not_patched() {
        assert_eq!(patch(&configuration(&[("a", Some("ours"))]), b"ours"), None);
        assert_eq!(patch(&configuration(&[]), b"ours"), None);
    }
}
