//! The phases of a connection.

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The TLS handshake.
    Handshake,
    /// No byte of the next request has arrived.
    Idle,
    /// The head of a request arrives.
    Head,
    /// The body of a request arrives, and is answered.
    Request,
}

impl Phase {
    /// Its name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Request => "request",
        }
    }
}
