//! Subcommands that run inside the worker pod, whose containers are database images: only this static binary can be
//! relied on there.

pub mod agent;
pub mod init;
pub mod install;
pub mod pg_dump_wrapper;
mod ptrace;
pub mod publish_dump;
pub mod stage;
pub mod staged_program;
