//! What the unit tests of several crates share. A dev-dependency only.
//!
//! | module | content |
//! |---|---|
//! | [`fake_api_server`] | an in-memory API server, whose clients can be stopped between two of their calls |
//! | [`assert_clients_are_limited`] | slow, idle and too many clients of a listener |
//! | [`ManualClock`] | the time, which only the test advances |
//! | [`metrics`] | the metrics of a program, to compare them with those documented |

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "every function runs inside a test, which fails by a panic"
)]

mod clients;
pub mod fake_api_server;
mod manual_clock;
pub mod metrics;

pub use clients::assert_clients_are_limited;
pub use manual_clock::ManualClock;
