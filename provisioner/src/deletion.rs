//! The end of a database: whether it may be removed, and what is removed with it.

mod decision;
mod pause_holder;
mod removal;

pub use decision::{DeletionBlocker, DeletionDecision, decide};
pub use pause_holder::pause_holder;
pub use removal::remove;
