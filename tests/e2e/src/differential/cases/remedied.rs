//! What `pg_upgrade` by itself refuses, and pgops upgrades all the same.

use super::Case;

pub(super) const CASES: &[Case] = &[Case::remedied(
    "in no time",
    "CREATE TABLE t AS SELECT 1 AS a;\n\nALTER DATABASE \"in no time\" SET statement_timeout = 1",
    "canceling statement due to statement timeout",
    "no time limit of a role or database holds for our sessions and programs",
)];
