//! The two listeners: TLS for the API server, plain HTTP for probes and metrics. Any client that reaches the pod can
//! connect to them, so both have [limits](pgops_http::Limits).

pub mod probes;
pub mod tls;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
