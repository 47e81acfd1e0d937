//! The programs of a `PostgreSQL` installation: where they are, and how they are run.

pub mod command;
pub mod controldata;
pub mod created;
pub mod initdb;
pub mod installation;
pub mod offer;
pub mod pg_dump;
pub mod programs;
pub mod reported_error;
pub mod restore_errors;
