//! Admission: decides on each `AdmissionReview` from the caches, without writing anything.
//!
//! Vocabulary at the bottom (`request`, `object`, `operation`, `decision`, `outcome`), the rules on it, and
//! HTTP on top (`bounds`, `envelope`, `response`, `audit`, `body_limits`, `worker_write`, `passing_denial`,
//! `whole_database`, `handler`).

mod active_requests;
mod audit;
mod body_limits;
mod bounds;
mod decision;
mod envelope;
mod handler;
mod lookups;
mod object;
mod operation;
mod outcome;
mod passing_denial;
mod request;
mod response;
mod rules;
mod whole_database;
mod worker_write;

pub use envelope::{Answered, Malformed};
pub use handler::{answer, router};
pub use outcome::{Outcome, Webhook};

#[cfg(test)]
mod tests;
