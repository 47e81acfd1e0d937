//! Keeps programs of the same user out of this process.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// From now on no program of the same user can trace this process, read or write its memory, or take its descriptors, not
/// even by `/proc`. A program that this one executes is not protected.
pub fn refuse_ptrace() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
