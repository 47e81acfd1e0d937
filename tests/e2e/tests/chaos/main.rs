//! Kills at every record and every stage of upgrades, and injected faults: nothing may be lost.
//!
//! This takes long, and needs the project's own test cluster: `make test-all` runs it. A single case:
//! `tests/cluster/exec cargo test -p pgops-e2e --test chaos -- rollback_of_switchover --nocapture`.

mod alone;
mod faults;
mod full_volume;
mod hardened;
mod minor;
mod records;
mod rollback;
mod scenario;
mod stages;
