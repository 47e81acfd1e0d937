//! The client of a connection.

use std::net::{IpAddr, Ipv4Addr};

/// What is known about the client that sent a request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The address from which it connected.
    pub address: IpAddr,
    /// Whether it has proved to be an API server.
    pub identity: Identity,
}

/// Whether a client has proved to be an API server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity {
    /// Any client that can reach the pod: what it sends is only claimed.
    Unverified,
    /// It has a certificate that the authority for clients signed.
    Verified,
}

impl Default for Peer {
    /// A client about which nothing is known.
    fn default() -> Self {
        Self { address: Ipv4Addr::UNSPECIFIED.into(), identity: Identity::Unverified }
    }
}
