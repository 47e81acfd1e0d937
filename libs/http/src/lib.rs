//! An HTTP server for listeners that any client in the cluster can connect to: the webhook's for reviews, and every
//! program's for probes and metrics. It bounds the number of connections, the memory of each, and the time that each
//! may spend on anything; one client with many connections displaces its own before those of others.
//!
//! It serves HTTP/1.1, with or without TLS. Layers, each of which uses only those before it: `phase`, `peer`, `limits`
//! and `closed` (plain data), `bind` (the socket), `observer`, `eviction` (the decision), `connections` (the open ones), `listener` (accepts
//! and serves).

mod bind;
mod closed;
mod connections;
mod eviction;
mod limits;
mod listener;
mod observer;
mod open_metrics;
mod peer;
mod phase;
mod throttle;

pub use bind::bind;
pub use limits::Limits;
pub use listener::Listener;
pub use observer::Observer;
pub use open_metrics::OPEN_METRICS;
pub use peer::{Identity, Peer};
pub use throttle::Throttle;

#[cfg(test)]
mod tests;
