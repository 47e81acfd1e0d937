//! The end-to-end tests, in one program so that they share the cluster's cores well.
//!
//! `tests/cluster/exec cargo test -p pgops-e2e -- --test-threads 3` runs them.

mod auth_secret;
mod availability;
mod census;
mod changing_definitions;
mod collations;
mod database_status;
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
mod quotas;
mod references;
mod rehearsal;
mod retention;
mod rights;
mod server_database;
mod statistics;
mod stored_settings;
mod user_objects;
