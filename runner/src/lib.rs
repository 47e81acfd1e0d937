//! The runner: one upgrade as a journalled saga that can be killed at any instant.
//!
//! - [`saga`] decides what comes next, from the journal alone.
//! - [`steps`] has one file a step, in order of execution: what it does and how it is undone.
//! - [`postgres`] knows the programs and the data directories.
//! - [`worker`] holds the subcommands that run inside database images.

pub mod cancel;
pub mod cluster;
pub mod narrative;
mod postgres;
pub mod report;
pub mod saga;
pub mod steps;
pub mod upgrade;
pub mod worker;
