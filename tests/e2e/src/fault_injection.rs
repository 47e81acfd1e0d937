//! Kills of the worker at chosen points, from outside: the product has no hooks for it.
//!
//! The tests run on the machine that the cluster's nodes run on. So they read the journal on the database's
//! volume and the worker's log as these are written, and send SIGKILL to the worker's real processes.

mod data_volume;
mod invariants;
mod journal;
mod kill_point;
mod memory_limit;
mod node;
mod observer;
mod process;
mod runner_log;
mod worker;

pub use journal::{Event, Record};
pub use kill_point::{Kill, KillPoint, Victim};
pub use memory_limit::MemoryLimit;
pub use node::Node;
pub use observer::UpgradeObserver;
pub use process::{Process, processes_of_pod};
pub use worker::Worker;
