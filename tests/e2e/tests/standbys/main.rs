//! Databases with standbys: how they come up, and what becomes of them when a server is lost or a fault is injected.
//!
//! `make standbys` runs these, and `make standbys-others` those that take long. A single case, once that has installed pgops with standbys enabled:
//! `tests/cluster/exec cargo test -p pgops-e2e --test standbys -- bootstrap --nocapture`.

mod alone;
mod bootstrap;
mod failover;
mod faults;
mod minor;
mod reclone;
mod scenario;
