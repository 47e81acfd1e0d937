//! What extensions need of an upgrade. The objects of one cannot be changed by themselves, only with their extension.
//!
//! [`members`] finds the extension that an object belongs to or uses, [`state`] what it is in a database, [`known`] what its
//! makers say, [`knowledge`] adds what the catalog entry says, and [`remedy`] is what helps if the target rejects its objects.
//! [`index_methods`] has the indexes that another version may not read, [`stored_results`] what stores results of functions.

pub mod index_methods;
pub mod knowledge;
pub mod known;
pub mod members;
pub mod remedy;
pub mod state;
pub mod stored_results;
