//! All cases.

mod check;
mod passed;
mod remedied;
mod restore;
mod stricter;

use super::case::Case;

/// All cases, in the order of their creation. A prepared transaction comes last: a new slot would wait for its end.
pub(super) const ALL: &[&[Case]] =
    &[stricter::CASES, remedied::CASES, restore::CASES, passed::CASES, check::CASES];
