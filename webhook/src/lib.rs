//! `pgops-webhook`: admission of `PostgresOpsRequest`s, and the launcher that makes one Job of each
//! admitted one.
//!
//! A library, so that its parts can be measured and fuzzed; the program is [`serve::run`], and
//! [`decide::run`] away from a cluster.

pub mod admission;
pub mod cache;
mod certificate;
pub mod decide;
mod launcher;
pub mod lifecycle;
pub mod metrics;
pub mod serve;
pub mod server;

/// Of the program, and of the floor that the benchmark compares it with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
