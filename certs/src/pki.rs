//! X.509: the CA, the certificates that it issues, bundles, and the checks of an API server. No Kubernetes.

mod authority;
mod bundle;
mod leaf;
mod pair;
mod validity;

pub use authority::{Authority, AuthorityError};
pub(crate) use bundle::Bundle;
pub use leaf::ServingCertificate;
pub(crate) use pair::Pair;
pub use pair::PairError;
#[cfg(test)]
pub(crate) use pair::verify;
