//! `PostgreSQL`'s programs, its servers and their data.
//!
//! - [`program`] runs the programs of an installation, from `initdb` to `pg_restore`.
//! - [`client`] queries servers, as the superuser.
//! - [`server`] has the servers that the runner starts, recovers or stops itself.
//! - [`pg_upgrade`] runs `pg_upgrade`; [`schema_rehearsal`] tries its dump and restore beforehand.
//! - [`collation`] finds and repairs what depends on rules for text that the upgrade changes.

pub mod client;
pub mod collation;
pub mod interlock;
pub mod pg_upgrade;
pub mod program;
pub mod schema_rehearsal;
pub mod server;
pub mod volume;
