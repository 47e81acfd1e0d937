//! `PostgreSQL`'s programs and data directories.

pub mod amcheck;
pub mod collations;
pub mod command;
pub mod controldata;
pub mod extensions;
pub mod indexes;
pub mod initdb;
pub mod installation;
pub mod interlock;
pub mod leftover;
pub mod ordered;
pub mod pg_upgrade;
pub mod private_server;
pub mod recovery;
pub mod refusal;
pub mod rehearsal;
pub mod scratch;
pub mod server;
pub mod text_rules;
pub mod volume;
