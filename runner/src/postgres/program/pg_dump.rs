//! The wrapper of `pg_dump`: this binary under the name `pg_dump`, which leaves a column option out that the target
//! does not know (see `worker/pg_dump_wrapper.rs`). What starts the wrapper and the wrapper itself share this file.

use std::path::{Path, PathBuf};

use pgops_api::layout;

/// Name of the program, and the name that makes this binary act as the wrapper.
pub const NAME: &str = "pg_dump";
/// Environment variable with the path of the real `pg_dump`.
pub const REAL_VARIABLE: &str = "PGOPS_PG_DUMP";
/// The option that some builds keep with every column.
pub const COLUMN_OPTION: &str = "pg_attver";
/// Name of this binary in [`layout::TOOLS_DIR`].
pub const RUNNER: &str = "pgops-runner";

/// The installed runner, which links called `pg_dump` point to.
#[must_use]
pub fn runner_path() -> PathBuf {
    Path::new(layout::TOOLS_DIR).join(RUNNER)
}
