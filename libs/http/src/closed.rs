//! Why a connection ended before its client closed it.

use std::io;

use crate::phase::Phase;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// It made room for another one, or there was no room for it.
    #[error("the listener has its maximum number of connections")]
    Limit,
    /// It stayed in a phase for too long.
    #[error("the client was too slow")]
    Overdue(Phase),
    /// The TLS handshake failed, for example for want of a client certificate.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// The client sent something else than HTTP, or disconnected in the middle of a request.
    #[error("the connection failed")]
    Http(#[from] hyper::Error),
}

impl Closed {
    /// The reason in one word, for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Overdue(phase) => phase.as_str(),
            Self::Handshake(_) => Phase::Handshake.as_str(),
            Self::Http(_) => "failed",
        }
    }

    /// Whether it also happens to clients that do nothing unusual.
    pub fn is_usual(&self) -> bool {
        matches!(self, Self::Overdue(Phase::Idle) | Self::Http(_))
    }
}
