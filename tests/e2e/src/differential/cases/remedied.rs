//! What `pg_upgrade` by itself refuses and pgops upgrades anyway.

use crate::differential::case::Case;

pub(super) const CASES: &[Case] = &[Case::remedied(
    "in no time",
    "CREATE TABLE t AS SELECT 1 AS a;\n\nALTER DATABASE \"in no time\" SET statement_timeout = 1",
    "canceling statement due to statement timeout",
    "pgops' sessions and programs override the timeouts of roles and databases",
)];
