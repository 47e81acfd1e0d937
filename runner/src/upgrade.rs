//! What every step may use. Nothing here knows a step.
//!
//! - [`UpgradeContext`] is the state of one upgrade; `context`, `workload`, `rollout`, `serving` and `data` are what
//!   it can do.
//! - [`Facts`] is what the preflight found out for later steps, [`rebuild_progress`] what the request's report keeps for
//!   `RebuildIndexes`, `baseline` the rights that must not grow, `census` what the databases held, `table_statistics` what
//!   the planner knew of their largest tables; `stored_digests` and `own_findings` are how a change of these is found.
//! - [`Finding`] and [`StepError`] are how a step reports what is wrong.

mod baseline;
mod census;
mod context;
mod data;
mod direction;
mod error;
mod facts;
mod finding;
mod log;
mod minor_report;
mod own_findings;
pub mod rebuild_progress;
mod rollout;
mod rollout_error;
mod serving;
pub mod space;
mod stored_digests;
mod table_statistics;
mod workload;

pub use baseline::{ensure_no_escalation, load_baseline, store_baseline};
pub use census::{CensusBaseline, DatabaseCensus};
pub use context::UpgradeContext;
pub use direction::Direction;
pub use error::{PlanMismatch, StepError};
pub use facts::Facts;
pub use finding::{Finding, MAX_LISTED, Named, Weight, shortened, shown_lines};
pub use log::{log_step, warn_step};
pub use rollout::Until;
pub use table_statistics::{load_statistics, store_statistics};
pub use workload::{MAX_POD_WAIT, ensure_version};
