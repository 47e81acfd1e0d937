//! Servers that the runner itself starts, recovers or stops.

pub mod inspection;
pub mod options;
pub mod private_server;
pub mod recovery;
pub mod restored_databases;
pub mod scratch;
