//! The saga: the sequence of steps with its journal. It completes, or it is undone.
//!
//! - [`record`] is what the journal holds.
//! - [`decide`] decides what comes next, from the journal alone.
//! - [`executor`] asks it, acts through [`Actions`], and writes down what happened.
//! - [`journal`] makes records durable before the effect that they announce.

mod decide;
mod executor;
mod journal;
mod record;

pub use decide::{Outcome, PointOfNoReturn, is_paused, resumed_forward, skipped};
pub use executor::{ActError, Actions, SagaError, UndoError, run};
pub use journal::config_map::ConfigMapJournal;
pub use journal::file::FileJournal;
pub use journal::memory::MemoryJournal;
pub use journal::{Journal, JournalError};
pub use record::{Event, Failure, Record};
