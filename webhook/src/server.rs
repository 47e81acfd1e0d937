//! The two listeners: TLS for the API server, plain HTTP for probes and metrics. Any client that reaches the pod can
//! connect to them, so both have [limits](Limits).
//!
//! Layers, each of which uses only those before it: `phase`, `limits` and `closed` (plain data), `eviction` (the
//! decision), `connections` (the open ones), `listener` (accepts and serves), `tls` and `probes` (the two listeners).

mod closed;
mod connections;
mod eviction;
mod limits;
mod listener;
mod phase;
pub mod probes;
mod throttle;
pub mod tls;

pub use limits::Limits;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
