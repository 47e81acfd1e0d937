//! The end-to-end tests, in one program so that they share the cluster's cores well.
//!
//! `tests/cluster/exec cargo test -p pgops-e2e -- --test-threads 3` runs them.

mod availability;
mod census;
mod changing_definitions;
mod collations;
mod denials;
mod differential;
mod documentation;
mod escalation;
mod extensions;
mod failures;
mod hostile_volume;
mod interruptions;
mod isolation;
mod kubedb;
mod lifecycle;
mod major;
mod meaning;
mod minor;
mod minor_preflight;
mod outage;
mod ownership;
mod partitions;
mod preflight;
mod private_servers;
mod protection;
mod queue;
mod references;
mod rehearsal;
mod retention;
mod rights;
mod self_test;
mod server_database;
mod statistics;
mod stored_settings;
mod uninstall;
mod user_objects;
