//! Programs of a PostgreSQL installation.

pub mod command;
pub mod controldata;
pub mod initdb;
pub mod installation;
pub mod reported_error;
