//! The data sets.

mod check;
mod fine;
mod remedied;
mod restore;
mod stricter;

use super::Case;

/// All of them, in the order in which they are made. A prepared transaction comes last: a new slot would wait for
/// its end.
pub(super) const ALL: &[&[Case]] =
    &[stricter::CASES, remedied::CASES, restore::CASES, fine::CASES, check::CASES];
