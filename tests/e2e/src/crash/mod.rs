//! Kills of the worker at chosen moments, from outside: the product has no hooks for it.
//!
//! The tests run on the machine that is the cluster's only node. So they read the journal on the database's
//! volume and the worker's log as they are written, and send SIGKILL to the worker's real processes.

mod journal;
mod moment;
mod node;
mod process;
mod watch;

pub use journal::{Entry, Mark};
pub use moment::{Kill, Moment, Victim};
pub use node::Node;
pub use process::{MemoryLimit, Process, Worker, of_pod};
pub use watch::Watch;
