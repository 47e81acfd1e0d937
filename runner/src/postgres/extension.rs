//! Extensions whose objects a restore rejects: they cannot be changed one by one, only with their extension.
//!
//! [`members`] finds the extension that an object belongs to or uses, [`state`] what is known of it in a database, [`known`]
//! what its makers say, and [`remedy`] what helps.

pub mod known;
pub mod members;
pub mod remedy;
pub mod state;
