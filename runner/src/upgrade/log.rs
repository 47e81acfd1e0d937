//! Log lines of a step; `crate::logging` prints the step in its own column.

use pgops_api::display_chain;
use pgops_api::plan::Step;

/// Logs what a step found or did.
pub fn log_step(step: Step, text: impl std::fmt::Display) {
    tracing::info!(%step, mark = "", "{text}");
}

/// Warns of an error that does not fail the step.
pub fn warn_step(step: Step, error: &dyn std::error::Error) {
    tracing::warn!(%step, "{}", display_chain(error));
}
