//! Databases on a cluster with two nodes: one of them is drained or lost during an upgrade.
//!
//! `make nodes` runs these one after the other, on the project's own test cluster. A single case:
//! `tests/cluster/exec cargo test -p pgops-e2e --test nodes -- drain --nocapture`, then `tests/cluster/node remove`.

mod drain;
mod loss;
mod scenario;
