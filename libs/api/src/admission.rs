//! The decision on a `PostgresOpsRequest`, as a pure function of plain facts.
//!
//! The webhook calls it when a request is created and the launcher calls it again before it acts, so that a
//! request that was created while the webhook was down is denied with the same message.

mod annotations;
mod database_checks;
mod day_two;
mod decision;
pub mod defaults;
mod denial;
mod duration;
mod facts;
mod messages;
mod namespaced_name;
mod options;
mod replacement;
mod standbys;
mod warnings;

pub use decision::{Admitted, AdmittedUpgrade, check_versions, decide};
pub use denial::{Denial, DenialReason};
pub use duration::{GoDurationError, parse_go_duration};
pub use facts::Facts;
pub use namespaced_name::NamespacedName;
pub use options::{RequestOptions, requested_scope};
pub use warnings::{MAX_WARNING, headline, shorten_warning, unhandled_type, version_change_warnings};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod texts;
