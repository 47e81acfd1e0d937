//! Certificates of the admission webhook, kept valid for years without a restart.
//!
//! They come from one of two [sources](Source). *Self-signed*: one certificate authority (CA) per
//! installation, stored in a Secret that all replicas share; each replica issues its own serving certificate
//! from it, in memory, and renews it long before it expires. The CA is rotated before it expires, or on an
//! operator's request, and both CAs are trusted during the rotation. *Files*: a certificate that is managed
//! elsewhere, for example by cert-manager.
//!
//! API servers learn which CAs to trust from the `caBundle` of the webhook configurations, which is restored
//! whenever another client removes it. A serving certificate is replaced behind [`Resolver`], without a
//! restart and without a dropped connection.
//!
//! Optionally, clients must have a certificate too, of a [CA for clients](ClientAuthority).
//!
//! Layers, each of which uses only those before it: `pki` (X.509), `rotation` (the decision), `store`
//! (Kubernetes objects), `sources` (one reconciliation), `manager` (the loop).

mod certificates;
mod clients;
mod clock;
mod error;
mod manager;
mod names;
mod pki;
mod resolver;
mod rotation;
mod settings;
mod sources;
mod store;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod handshakes;
#[cfg(test)]
mod simulation;

pub use certificates::{Certificates, Status};
pub use clients::{ClientAuthority, ClientAuthorityError};
pub use error::Error;
pub use manager::CertificateManager;
pub use names::Names;
pub use pki::{Authority, AuthorityError, PairError, ServingCertificate};
pub use resolver::{Resolver, server_config};
pub use settings::{Settings, SettingsError, Source};
pub use store::{ConfigurationError, SecretError};
