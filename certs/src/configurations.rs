//! The webhook configurations, whose `caBundle` is how API servers learn whom to trust.

use std::fmt::Debug;
use std::time::Instant;

use futures::stream::{BoxStream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::clock::Clock;
use crate::keeper::changes;

/// Why the configurations cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The API server does not answer, or refuses.
    #[error("failed to {verb} {kind} \"{name}\"")]
    Kube {
        /// What was tried.
        verb: &'static str,
        /// Kind of the configuration.
        kind: String,
        /// Name of the configuration.
        name: String,
        /// The API server's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// Nothing calls this webhook.
    #[error("there is no {kind} \"{name}\", so nothing calls this webhook: install the chart, which has it")]
    Missing {
        /// Kind of the configuration.
        kind: &'static str,
        /// Name of the configuration.
        name: String,
    },
}

/// The validating and the mutating configuration, of one name.
#[derive(Clone)]
pub(crate) struct Configurations {
    validating: Api<ValidatingWebhookConfiguration>,
    mutating: Api<MutatingWebhookConfiguration>,
    name: String,
}

/// Both as they were read. One that does not exist calls nobody, and whatever it should hold, it holds.
pub(crate) struct Seen {
    validating: Option<ValidatingWebhookConfiguration>,
    mutating: Option<MutatingWebhookConfiguration>,
    /// When they had been read.
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

    pub(crate) async fn read(&self, clock: &Clock) -> Result<Seen, ConfigurationError> {
        let validating = read(&self.validating, &self.name).await?;
        let mutating = read(&self.mutating, &self.name).await?;
        Ok(Seen { validating, mutating, at: clock.steady() })
    }

    /// Writes the bundle where another one was seen, unless somebody has written since then.
    pub(crate) async fn write(&self, seen: &Seen, bundle: &Bundle) -> Result<(), ConfigurationError> {
        let bundle = bundle.to_pem().into_bytes();
        write(&self.validating, &self.name, seen.validating.as_ref(), &bundle).await?;
        write(&self.mutating, &self.name, seen.mutating.as_ref(), &bundle).await
    }

    /// That both were there.
    pub(crate) fn check(&self, seen: &Seen) -> Result<(), ConfigurationError> {
        let missing = |kind| Err(ConfigurationError::Missing { kind, name: self.name.clone() });
        match seen {
            Seen { validating: None, .. } => missing("ValidatingWebhookConfiguration"),
            Seen { mutating: None, .. } => missing("MutatingWebhookConfiguration"),
            Seen { .. } => Ok(()),
        }
    }

    /// An item whenever one of them may have changed.
    pub(crate) fn changes(&self) -> BoxStream<'static, ()> {
        let validating = changes(self.validating.clone(), &self.name);
        futures::stream::select(validating, changes(self.mutating.clone(), &self.name)).boxed()
    }
}

impl Seen {
    /// Whether every webhook trusts all of these.
    pub(crate) fn trusts(&self, bundle: &Bundle) -> bool {
        self.bundles().iter().all(|trusted| trusted.contains_all(bundle))
    }

    /// All that some webhook trusts and that has not expired.
    pub(crate) fn trusted(&self, now: Timestamp) -> Bundle {
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

/// A configuration of either kind.
trait Configuration: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned {
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

async fn read<K: Configuration>(api: &Api<K>, name: &str) -> Result<Option<K>, ConfigurationError> {
    api.get_opt(name).await.map_err(|source| failed::<K>("read", name, source))
}

async fn write<K: Configuration>(
    api: &Api<K>,
    name: &str,
    seen: Option<&K>,
    bundle: &[u8],
) -> Result<(), ConfigurationError> {
    let Some(patch) = seen.and_then(|seen| patch(seen, bundle)) else { return Ok(()) };
    match api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
        Ok(_) => {
            tracing::info!(kind = %K::kind(&()), name, "wrote the caBundle of a webhook configuration");
            Ok(())
        }
        // Somebody was faster; that change wakes us again.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(source) => Err(failed::<K>("write the caBundle of", name, source)),
    }
}

fn failed<K: Configuration>(verb: &'static str, name: &str, source: kube::Error) -> ConfigurationError {
    ConfigurationError::Kube {
        verb,
        kind: K::kind(&()).into_owned(),
        name: name.to_owned(),
        source: Box::new(source),
    }
}

/// A strategic merge patch of the webhooks whose bundle differs; `None` if none does. It names the version
/// that was seen: a webhook that is gone meanwhile must not come back as a fragment, and a replica that
/// slept must not put back an older bundle.
fn patch(seen: &impl Configuration, bundle: &[u8]) -> Option<Value> {
    let differs =
        |client: &WebhookClientConfig| client.ca_bundle.as_ref().is_none_or(|current| current.0 != bundle);
    let stale: Vec<Value> = seen
        .clients()
        .into_iter()
        .filter(|(_, client)| differs(client))
        .map(|(name, _)| json!({ "name": name, "clientConfig": { "caBundle": ByteString(bundle.to_vec()) } }))
        .collect();
    let version = seen.resource_version();
    (!stale.is_empty()).then(|| json!({ "metadata": { "resourceVersion": version }, "webhooks": stale }))
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
    fn patches_only_the_webhooks_that_differ_and_names_the_version_that_was_seen() {
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
    fn leaves_a_configuration_alone_that_has_the_bundle() {
        assert_eq!(patch(&configuration(&[("a", Some("ours"))]), b"ours"), None);
        assert_eq!(patch(&configuration(&[]), b"ours"), None);
    }
}
