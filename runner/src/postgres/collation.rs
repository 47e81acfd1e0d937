//! What an upgrade changes about text, and what in a database depends on it: indexes above all, which would miss rows.
//!
//! - [`versions`] asks a server for the versions of its collations, [`target_versions`] a scratch server for those that it
//!   would have; [`changes`] compares two servers.
//! - [`indexes`] finds the indexes that depend on a change, [`rebuild`] rebuilds them, [`amcheck`] proves them.
//! - [`partitions`] finds rows in the wrong partition, and [`repartition`] moves them; [`follow_ups`] finds what no statement
//!   of `PostgreSQL` repairs.
//! - [`refresh`] tells the server that everything is in the new order.

pub mod amcheck;
pub mod changes;
pub mod follow_ups;
pub mod indexes;
pub mod misrouted;
pub mod partitions;
pub mod rebuild;
pub mod refresh;
pub mod repartition;
pub mod target_versions;
pub mod versions;
