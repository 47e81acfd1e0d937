//! What an upgrade changes about rules of text and time, and what in a database depends on it: indexes above all, which would miss
//! rows.
//!
//! - [`versions`] asks a server for the versions of its collations, [`rules`] for all rules that its databases use;
//!   [`target_versions`] and [`target_answers`] ask a scratch server; [`changes`] compares two servers.
//! - [`dependents`] recognises in a catalog what depends on a change.
//! - [`indexes`] finds the indexes that do, [`rebuild`] rebuilds them, [`amcheck`] proves them.
//! - [`partitions`] finds rows in the wrong partition, and [`repartition`] moves them; [`follow_ups`] finds what no statement
//!   of `PostgreSQL` repairs.
//! - [`refresh`] tells the server that everything is in the new order.

pub mod amcheck;
pub mod changes;
mod comparison;
pub mod dependents;
pub mod follow_ups;
pub mod indexes;
pub mod misrouted;
pub mod partitions;
pub mod rebuild;
pub mod refresh;
pub mod repartition;
pub mod rules;
pub mod target_answers;
pub mod target_versions;
pub mod versions;
