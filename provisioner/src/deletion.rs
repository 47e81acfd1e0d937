//! The end of a database: whether it may be removed, what is removed with it, and what holds that up.

mod decision;
mod obstacle;
mod pause_holder;
mod removal;

pub use decision::{DeletionBlocker, DeletionDecision, decide};
pub use obstacle::obstacle;
pub use pause_holder::pause_holder;
pub use removal::remove;
