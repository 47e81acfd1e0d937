//! Servers that the runner itself starts, recovers or stops.

pub mod call_counts;
pub mod inspection;
pub mod kept_session;
pub mod loading;
pub mod options;
pub mod private_server;
pub mod recovery;
pub mod restored_databases;
pub mod scratch;
pub mod server_log;
pub mod socket;
