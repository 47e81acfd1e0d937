//! End-to-end tests of pgops on a real cluster.
//!
//! `tests/cluster/exec cargo test -p pgops-e2e` runs them; without `KUBECONFIG` that is the project's
//! own cluster, otherwise the one that it names. Each test has a namespace of its own:
//!
//! ```no_run
//! use pgops_e2e::Cluster;
//! # async fn test() -> anyhow::Result<()> {
//! let cluster = Cluster::connect().await?;
//! cluster
//!     .with_namespace(async |ns| {
//!         let orders = ns.postgres("orders").version("13.16").create().await?;
//!         orders.wait_ready().await?;
//!         let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
//!         upgrade.wait_successful().await?;
//!         Ok(())
//!     })
//!     .await
//! # }
//! ```
//!
//! Everything here fails with `anyhow` errors: nobody but a person reads them.

mod admission;
mod aftermath;
pub mod by_hand;
pub mod cluster;
mod connection;
pub mod counts;
pub mod crash;
mod database;
mod dataset;
mod diagnostics;
pub mod differential;
pub mod fingerprint;
pub mod golden;
mod kubectl;
mod load;
mod loop_volume;
mod namespace;
pub mod probe;
pub mod request;
mod wait;

pub use admission::PastAdmission;
pub use aftermath::{assert_left_undone, assert_untouched, assert_upgraded, assert_upgraded_after_restarts};
pub use by_hand::ByHand;
pub use cluster::Cluster;
pub use database::{Database, DatabaseBuilder};
pub use dataset::DataSet;
pub use fingerprint::Fingerprint;
pub use kubectl::{Output, kubectl};
pub use load::{AdmissionLoad, Tally};
pub use loop_volume::{FileSystem, LoopVolume};
pub use namespace::Namespace;
pub use request::{Upgrade, UpgradeBuilder};
pub use wait::wait_for;
