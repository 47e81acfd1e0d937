//! The Kubernetes objects of one upgrade. Every call is retried while the API server is briefly unavailable: a running
//! upgrade must not fail because its status cannot be written. Only what belongs to the database or to the request is
//! written, by uid: see `owned`.

mod client;
mod database;
mod error;
mod events;
mod known;
mod members;
mod obstacle;
mod own_pod;
mod owned;
pub mod pod;
mod pod_action;
mod pod_version;
mod pods;
mod processors;
mod report;
mod request;
mod retry;
mod service;
mod wait;
mod wait_times;
mod workload;

#[cfg(test)]
mod tests;

pub use client::Cluster;
pub use error::{ClusterError, ignore_missing};
pub use obstacle::Obstacle;
pub use own_pod::MemoryKill;
pub use pod::PodState;
pub use pod_version::{PodVersion, ToldBy};
pub use wait::{IfBroken, Observed, StartPod};
pub use wait_times::WaitTimes;
