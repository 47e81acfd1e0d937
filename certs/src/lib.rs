//! Certificates of the admission webhook.
//!
//! One certification authority an installation, kept in one Secret that all replicas share. Each
//! replica makes its own serving certificate from it, in memory, and renews it long before it
//! expires. The API server learns of the authority through the `caBundle` of the webhook
//! configurations, which is put back whenever something else (an upgrade of the chart) removes it.
//!
//! A serving certificate is swapped behind [`Resolver`], without a restart and without a dropped
//! connection.

mod authority;
mod bundle;
mod resolver;
mod secret;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::{Api, Client};

pub use authority::{Authority, AuthorityError, Serving};
pub use bundle::BundleError;
pub use resolver::{Resolver, server_config};
pub use secret::SecretError;

/// How often the wall clock is asked whether the certificate is due. A timer for the whole time
/// would stand still while a machine sleeps.
const CLOCK_CHECK: Duration = Duration::from_mins(1);

/// The objects that this installation's certificates are about.
#[derive(Clone, Debug)]
pub struct Names {
    /// Namespace of the Secret and of the Service.
    pub namespace: String,
    /// Service through which the API server calls the webhook.
    pub service: String,
    /// Secret that keeps the authority.
    pub secret: String,
    /// Name of both webhook configurations.
    pub configuration: String,
}

impl Names {
    /// The DNS names of the Service.
    #[must_use]
    pub fn dns(&self) -> Vec<String> {
        let Self { namespace, service, .. } = self;
        ["", "svc", "svc.cluster.local"]
            .iter()
            .map(|suffix| format!("{service}.{namespace}.{suffix}").trim_end_matches('.').to_owned())
            .chain([service.clone()])
            .collect()
    }
}

/// Why there is no certificate, or why it can no longer be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No certificate can be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A watch ended.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl Error {
    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Secret(SecretError::Kube { .. }))
    }
}

/// The authority of the installation and this replica's serving certificate.
pub struct Certificates {
    client: Client,
    names: Names,
    authority: Authority,
    resolver: Arc<Resolver>,
}

impl Certificates {
    /// Reads the authority, or makes it if the Secret is empty, and makes a serving certificate.
    pub async fn obtain(client: Client, names: Names) -> Result<Self, Error> {
        let secrets = Api::namespaced(client.clone(), &names.namespace);
        let now = Timestamp::now();
        let authority = secret::obtain(&secrets, &names.secret, now).await?;
        let serving = authority.issue(&names.dns(), now)?;
        tracing::info!(
            secret = %names.secret,
            authority_until = %authority.not_after(),
            serving_until = %serving.not_after(),
            "made a serving certificate"
        );
        Ok(Self { client, names, authority, resolver: Arc::new(Resolver::new(serving)) })
    }

    /// What a TLS server asks for its certificate.
    #[must_use]
    pub fn resolver(&self) -> Arc<Resolver> {
        self.resolver.clone()
    }

    /// Renews the serving certificate and keeps the `caBundle` of the webhook configurations, until
    /// one of them cannot be done any more.
    pub async fn keep(&self) -> Result<Infallible, Error> {
        let name = &self.names.configuration;
        let bundle = self.authority.certificate().as_bytes();
        let validating: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let mutating: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        tokio::select! {
            ended = bundle::keep(&validating, name, bundle) => Ok(ended?),
            ended = bundle::keep(&mutating, name, bundle) => Ok(ended?),
            never = self.renew() => Ok(never),
        }
    }

    async fn renew(&self) -> Infallible {
        loop {
            tokio::time::sleep(CLOCK_CHECK).await;
            let now = Timestamp::now();
            if !self.resolver.is_due(now) {
                continue;
            }
            // A failure leaves the certificate in place, which has a third of its life left.
            match self.authority.issue(&self.names.dns(), now) {
                Ok(serving) => {
                    tracing::info!(serving_until = %serving.not_after(), "renewed the serving certificate");
                    self.resolver.replace(serving);
                }
                Err(error) => tracing::warn!(%error, "the serving certificate is due and stays for now"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_has_four_names() {
        let names = Names {
            namespace: "pgops-system".into(),
            service: "pgops-webhook".into(),
            secret: String::new(),
            configuration: String::new(),
        };
        assert_eq!(
            names.dns(),
            [
                "pgops-webhook.pgops-system",
                "pgops-webhook.pgops-system.svc",
                "pgops-webhook.pgops-system.svc.cluster.local",
                "pgops-webhook",
            ]
        );
    }
}
