//! Upgrades of databases with extensions that Debian packages, in the images of `make extensions`.
//!
//! `tests/cluster/exec cargo test -p pgops-e2e --test extensions` runs them.

mod chain;
mod database;
mod upgrade;
