//! End-to-end tests of pgops on a real cluster.
//!
//! `tests/cluster/exec cargo test -p pgops-e2e` runs them: on the project's own cluster, or on the one that
//! `KUBECONFIG` names. Each test has its own namespace:
//!
//! ```no_run
//! use pgops_e2e::with_namespace;
//! # async fn test() -> anyhow::Result<()> {
//! with_namespace(async |ns| {
//!     let orders = ns.postgres("orders").version("13.16").create().await?;
//!     orders.wait_ready().await?;
//!     let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
//!     upgrade.wait_successful().await?;
//!     Ok(())
//! })
//! .await
//! # }
//! ```
//!
//! All errors are `anyhow` errors: only people read them.

mod admission_load;
mod assertions;
mod bypass_webhook;
mod catalog_entry;
mod chart;
mod cluster;
mod code_in_upgrade;
mod conditions;
mod connection;
pub mod counts;
mod database;
mod dataset;
mod diagnostics;
pub mod differential;
pub mod documented_object;
pub mod dual_version_pod;
pub mod escalation;
mod events;
pub mod fault_injection;
mod fingerprint;
pub mod golden;
mod harness;
pub mod identity;
pub mod image_rewriting;
pub mod injected_container;
mod kubectl;
mod loop_volume;
mod manual_pg_upgrade;
mod members;
mod namespace;
mod packaged_extension;
mod pause;
pub mod probe;
mod quota;
mod removal;
mod request;
mod request_builder;
mod requirements;
mod roles;
mod script;
pub mod second_node;
mod slot_consumer;
mod unreadable_table;
pub mod volume_pool;
mod wait;
pub mod watcher;

pub use admission_load::{AdmissionLoad, LoadResult};
pub use assertions::{
    assert_step_given_up, assert_untouched, assert_upgraded, assert_upgraded_allowing_restarts,
    ensure_request_is_complete,
};
pub use bypass_webhook::WebhookBypass;
pub use chart::{ChartPart, Release, SharedRelease};
pub use cluster::Cluster;
pub use code_in_upgrade::{code_in_upgrade, fails_in_pg_upgrade};
pub use conditions::format_conditions;
pub use database::{Database, DatabaseBuilder};
pub use dataset::DataSet;
pub use fingerprint::{Fingerprint, integrity_problems};
pub use harness::with_namespace;
pub use kubectl::{Output, kubectl};
pub use loop_volume::{FileSystem, LoopVolume, with_expandable_volume};
pub use manual_pg_upgrade::ManualPgUpgrade;
pub use namespace::{Namespace, NamespacedObject};
pub use packaged_extension::{PACKAGED_EXTENSIONS, PackagedExtension, packaged_extension};
pub use removal::prepare_removal;
pub use request::UpgradeRequest;
pub use request_builder::UpgradeRequestBuilder;
pub use unreadable_table::UnreadableTable;
pub use wait::{eventually, wait_for};
