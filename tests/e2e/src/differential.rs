//! pgops' preflight compared with the real `pg_upgrade`: both check the same data, and their answers are compared.
//! The preflight may be stricter, for a stated reason; it must never pass what `pg_upgrade` refuses.
//!
//! The cases of a pair share servers. All cases that should pass go through one real upgrade; each of the others is
//! upgraded by itself, on a copy of the data without the rest.

mod case;
mod cases;
mod comparison;
mod group;
mod oracle;
mod pair;
pub(crate) mod preflight;

pub use comparison::Comparison;
pub use group::{Group, groups};
pub use pair::Pair;
