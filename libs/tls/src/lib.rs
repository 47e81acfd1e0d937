//! TLS of database servers: whether a mounted certificate can be used, and connections to a server that verify it.
//!
//! | module | content |
//! |---|---|
//! | [`ServerCertificate`] | a certificate and its key in mounted files, checked before a server reads them |
//! | [`Connector`] | TLS for a PostgreSQL client, which trusts what the database's Secret says |

mod connector;
mod files;
#[cfg(test)]
mod fixtures;
mod pair;
mod trust;

pub use connector::{Connector, ConnectorError, SSL_REQUEST, TlsStream};
pub use pair::{PairError, ServerCertificate};
