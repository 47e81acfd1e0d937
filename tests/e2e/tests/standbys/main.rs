//! Databases with standbys: how they come up, and what becomes of them when a server is lost.
//!
//! `make standbys` runs these. A single case, once that has installed pgops with standbys enabled:
//! `tests/cluster/exec cargo test -p pgops-e2e --test standbys -- bootstrap --nocapture`.

mod bootstrap;
mod failover;
mod minor;
mod reclone;
mod scenario;
