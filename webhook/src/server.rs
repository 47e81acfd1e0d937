//! The two listeners: TLS for the API server, plain HTTP for probes and metrics.

pub mod probes;
pub mod tls;
