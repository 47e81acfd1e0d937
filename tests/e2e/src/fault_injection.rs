//! Kills of the worker at chosen points, and faults of servers, from outside: the product has no hooks for them.
//!
//! The tests run on the machine that the cluster's nodes run on. So they read the journal on the database's
//! volume and the worker's log as these are written, send signals to real processes, and drop packets in the networks of pods.

mod cpu_quota;
mod data_volume;
mod invariants;
mod journal;
mod kill_point;
mod memory_limit;
mod node;
mod observer;
mod partition;
mod process;
mod runner_log;
mod server_part;
mod stopped;
mod worker;

pub use cpu_quota::CpuQuota;
pub use journal::{Event, Record};
pub use kill_point::{Kill, KillPoint, Victim};
pub use memory_limit::MemoryLimit;
pub use node::Node;
pub use observer::UpgradeObserver;
pub use partition::Partition;
pub use process::{Process, processes_of_pod};
pub use server_part::ServerPart;
pub use stopped::Stopped;
pub use worker::Worker;
