//! How many clients a listener serves, and how slow they may be.

use std::time::Duration;

use super::phase::Phase;

/// How long an API server keeps an idle connection: the default of Go's client.
pub(super) const CLIENT_IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Maximum number of bytes that are buffered of a connection: the head of a request, or a part of its body.
pub(super) const MAX_BUFFER: usize = 64 * 1024;

/// How many connections a listener has at most, and how long each may stay in each phase. Both listeners speak HTTP/1.1
/// only, with which API servers call webhooks: HTTP/2 would need limits on streams too.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum number of open connections.
    pub connections: usize,
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// From the end of a request's head to its response. The limits on bodies are shorter.
    pub request: Duration,
    /// Without a byte of the next request, or with a response that the client does not read.
    pub idle: Duration,
}

impl Limits {
    /// The listener for reviews. Each connection holds at most a small body and its buffers, so that all of them
    /// together fit into the memory limit of the pod, next to the caches and the large bodies.
    ///
    /// Idle connections are closed by the client first: a review that is sent at the very moment in which the server
    /// closes is lost, and its object denied. This includes a new connection, since Go's client opens some in advance.
    pub const ADMISSION: Self = Self {
        connections: 512,
        handshake: Duration::from_secs(10),
        head: Duration::from_secs(10),
        request: Duration::from_secs(30),
        idle: CLIENT_IDLE_TIMEOUT.saturating_add(Duration::from_secs(30)),
    };

    /// The listener for probes and metrics. A client of metrics whose idle connection is closed opens another one.
    pub const PROBES: Self = Self {
        connections: 64,
        handshake: Duration::ZERO,
        head: Duration::from_secs(10),
        request: Duration::from_secs(10),
        idle: Duration::from_mins(2),
    };

    /// How long a connection may stay in the phase.
    pub(super) fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Handshake => self.handshake,
            Phase::Idle => self.idle,
            Phase::Head => self.head,
            Phase::Request => self.request,
        }
    }
}
