//! How many clients a listener serves, how slow they may be, and how much of each is buffered.

use std::time::Duration;

use crate::phase::Phase;

/// The limits of one listener. All listeners speak HTTP/1.1 only, which API servers, kubelets and Prometheus use:
/// HTTP/2 would need limits on streams too.
///
/// They also bound how long a client waits for the processor while another one floods the listener with TLS handshakes:
/// at most `connections` of them are in progress, a new one displaces one of the client that floods, and each takes about
/// 0.4 ms of one processor. Their rate is not limited: that would refuse API servers first, since they open a connection
/// for each of hundreds of concurrent reviews and, behind address translation, share their address with other clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum number of open connections.
    pub connections: usize,
    /// Maximum number of bytes that are buffered of a connection: the head of a request, or a part of its body. At
    /// least 8 KiB, by hyper's own minimum.
    pub buffer: usize,
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// From the end of a request's head to its response.
    pub request: Duration,
    /// Without a byte of the next request, or with a response that the client does not read.
    pub idle: Duration,
}

impl Limits {
    /// A plain listener for probes and metrics. All its connections together hold at most 1 MiB. A client of metrics
    /// whose idle connection is closed opens another one; a kubelet opens one for each probe.
    pub const PROBES: Self = Self {
        connections: 64,
        buffer: 16 * 1024,
        handshake: Duration::ZERO,
        head: Duration::from_secs(10),
        request: Duration::from_secs(10),
        idle: Duration::from_mins(2),
    };

    /// How long a connection may stay in the phase.
    pub(crate) fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Handshake => self.handshake,
            Phase::Idle => self.idle,
            Phase::Head => self.head,
            Phase::Request => self.request,
        }
    }
}
