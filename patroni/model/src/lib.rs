//! A model of the failover of a database with standbys, checked exhaustively.
//!
//! [`lock`] has the time: the lock, its renewal, and the watchdog. Read `docs/concepts/failover-model.md` for what is modelled, what is not, and
//! what was found.

pub mod check;
pub mod commit;
pub mod lock;
pub mod pause;
