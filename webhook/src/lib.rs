//! `pgops-webhook`: admission of `PostgresOpsRequest`s, and the launcher that creates exactly one Job for
//! each admitted one.
//!
//! A library, so that its parts can be benchmarked and fuzzed. [`serve::run`] is the program,
//! [`offline::run`] its `decide` command, which needs no cluster.

pub mod admission;
pub mod args;
pub mod cache;
mod launcher;
pub mod logging;
pub mod metrics;
pub mod offline;
pub mod peer;
pub mod serve;
pub mod server;

/// The allocator of the program, and of the floor that the benchmark compares it with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
