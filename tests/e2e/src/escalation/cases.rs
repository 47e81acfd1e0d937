//! All attacks. Row filters of publications are missing: the server rejects user-defined functions, operators and types in
//! them.

mod simplified;
mod stored;
mod uncounted;
mod wrapped;

use super::case::Case;

const KINDS: [&[Case]; 4] = [simplified::CASES, uncounted::CASES, wrapped::CASES, stored::CASES];

/// All attacks.
pub fn all_cases() -> impl Iterator<Item = &'static Case> {
    KINDS.into_iter().flatten()
}
