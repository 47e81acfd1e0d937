//! The compatibility matrix: which versions a database may be upgraded to from its current one.
//!
//! The rules, in the order in which a refusal names them: both names are in the catalog, the target's major
//! version is not lower, the constraints of the *current* version admit the target, both have the same base
//! system, both have the same distribution. A target of the same name is judged by the same rules; if it
//! passes, the image is rolled out again.

mod base_os;
mod catalog;
mod constraints;
mod entry;
mod explain;
mod faults;
mod nearest;
mod path;
mod problems;
mod refusal;
mod release;
mod rules;

pub use base_os::{BaseOsChange, CLibrary};
pub use catalog::Catalog;
pub use constraints::{Constraints, List};
pub use entry::Entry;
pub use faults::Fault;
pub use problems::problems;
pub use refusal::{Reason, Refusal, Unknown};
pub use release::UnsupportedRelease;
pub use rules::{Allowed, Matrix};

#[cfg(test)]
mod tests;
