//! `pgops-webhook`: admission of `PostgresOpsRequest`s, and the launcher that creates exactly one Job for
//! each admitted one.
//!
//! They are two modes of one program, with two identities: what the whole cluster may call can only read.
//!
//! A library, so that its parts can be benchmarked and fuzzed. [`serve::run`] and [`launch::run`] are the program,
//! [`offline::run`] its `decide` command, which needs no cluster, [`self_test::run`] and [`uninstall::run`] what the hooks of
//! the chart run.

pub mod admission;
pub mod args;
pub mod cache;
pub mod launch;
mod launcher;
pub mod logging;
pub mod metrics;
pub mod offline;
pub mod process;
pub mod self_test;
pub mod serve;
pub mod server;
pub mod uninstall;
pub mod worker_rights;

/// The allocator of the program, and of the floor that the benchmark compares it with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
