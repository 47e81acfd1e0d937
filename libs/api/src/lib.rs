//! The API of pgops: `KubeDB`'s custom resources, `PostgreSQL` versions and the decision on which version
//! a database may be upgraded to.
//!
//! Everything here is pure: no client, no async, no clock. The components that do I/O (webhook, runner,
//! provisioner, instance) share the names, types and decisions of this crate.

#![allow(clippy::duplicated_attributes, reason = "false positive: several printcolumn of one #[kube]")]

pub mod admission;
mod bounded;
pub mod certificates;
mod claim;
pub mod condition;
pub mod constraint;
pub mod crds;
mod error_chain;
mod executed;
pub mod failover_timings;
pub mod format;
pub mod instance_status;
pub mod layout;
mod local_ref;
mod managed;
pub mod matrix;
pub mod members;
pub mod names;
mod nearest;
pub mod opsrequest;
pub mod outage;
pub mod ownership;
pub mod plan;
pub mod pod_template;
pub mod postgres;
pub mod postgresversion;
pub mod progress;
pub mod quantity;
pub mod replicated_settings;
pub mod rollout;
mod schema;
pub mod serverconf;
pub mod session_options;
pub mod settings;
pub mod spec_check;
pub mod spec_fields;
pub mod storage_risk;
pub mod tls;
pub mod topology;
pub mod version;

pub use bounded::{bounded, bounded_lines};
pub use claim::Claim;
pub use condition::Condition;
pub use error_chain::display_chain;
pub use executed::{ExecutedRequests, ParseExecutedError};
pub use managed::{ManagedDatabases, ParseManagedError};
pub use opsrequest::PostgresOpsRequest;
pub use ownership::{ForeignObject, Owner};
pub use plan::UpgradePlan;
pub use postgres::Postgres;
pub use postgresversion::PostgresVersion;
pub use storage_risk::{StorageRisk, storage_risk};
pub use version::PgVersion;
