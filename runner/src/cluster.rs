//! The Kubernetes objects of one upgrade. Every call is retried while the API server is briefly unavailable: a running
//! upgrade must not fail because its status cannot be written.

mod client;
mod database;
mod error;
mod node_affinity;
pub mod pod;
mod pods;
mod report;
mod request;
mod retry;
mod workload;

pub use client::Cluster;
pub use error::ClusterError;
pub use pod::PodState;
