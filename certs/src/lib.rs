//! Certificates of the admission webhook, for years.
//!
//! They come from one of two [sources](Source). *Own*: one certification authority an installation, kept
//! in one Secret that all replicas share; each replica makes its own serving certificate from it, in
//! memory, and renews it long before it expires. The authority is followed by another one before it
//! expires, or when a person asks, and both are trusted meanwhile. *Files*: a certificate that somebody
//! else keeps, such as cert-manager.
//!
//! API servers learn whom to trust through the `caBundle` of the webhook configurations, which is put
//! back whenever something else removes it. A serving certificate is swapped behind [`Resolver`], without
//! a restart and without a dropped connection.

mod authority;
mod bundle;
mod certificates;
mod clock;
mod configurations;
mod files;
mod keeper;
mod own;
mod pair;
mod resolver;
mod rotation;
mod secret;
mod serving;
mod settings;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod world;
#[cfg(test)]
mod years;

use std::path::PathBuf;

pub use authority::{Authority, AuthorityError};
pub use certificates::{Certificates, Status};
pub use configurations::ConfigurationError;
pub use keeper::{Keeper, Source};
pub use pair::PairError;
pub use resolver::{Resolver, server_config};
pub use secret::SecretError;
pub use serving::Serving;
pub use settings::{Settings, SettingsError};

/// The objects that this installation's certificates are about.
#[derive(Clone, Debug)]
pub struct Names {
    /// Namespace of the Secret and of the Service.
    pub namespace: String,
    /// Service through which the API server calls the webhook.
    pub service: String,
    /// Name of both webhook configurations.
    pub configuration: String,
}

impl Names {
    /// The DNS name by which API servers call the Service.
    #[must_use]
    pub fn called(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// The DNS names of the Service.
    #[must_use]
    pub fn dns(&self) -> Vec<String> {
        let Self { namespace, service, .. } = self;
        let called = self.called();
        vec![format!("{service}.{namespace}"), format!("{called}.cluster.local"), called, service.clone()]
    }
}

/// Why the certificates are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No certificate can be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A webhook configuration cannot be read or written.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The files cannot be served.
    #[error("refused the certificate in \"{}\"", .directory.display())]
    Files {
        /// Where they are.
        directory: PathBuf,
        /// What is wrong with them.
        #[source]
        source: PairError,
    },
    /// The watches ended, which they never do by themselves.
    #[error("the watches on the certificates' objects ended")]
    WatchEnded,
}

impl Error {
    /// Whether the same call may succeed later without the process being started anew.
    fn is_transient(&self) -> bool {
        match self {
            Self::Secret(SecretError::Kube { .. }) | Self::Configuration(_) | Self::Files { .. } => true,
            Self::Secret(_) | Self::Authority(_) | Self::WatchEnded => false,
        }
    }

    /// Whether something was found and refused, rather than out of reach.
    fn is_rejection(&self) -> bool {
        match self {
            Self::Secret(error) => !matches!(error, SecretError::Kube { .. } | SecretError::Generate { .. }),
            Self::Files { .. } => true,
            Self::Authority(_) | Self::Configuration(_) | Self::WatchEnded => false,
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
            configuration: String::new(),
        };
        assert_eq!(
            names.dns(),
            [
                "pgops-webhook.pgops-system",
                "pgops-webhook.pgops-system.svc.cluster.local",
                "pgops-webhook.pgops-system.svc",
                "pgops-webhook",
            ]
        );
    }
}
