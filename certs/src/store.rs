//! The Kubernetes objects: the Secret with the CAs, and the webhook configurations with the `caBundle`.

mod configurations;
mod secret;
mod watch;

pub use configurations::ConfigurationError;
pub(crate) use configurations::Configurations;
pub use secret::SecretError;
pub(crate) use secret::SecretStore;
