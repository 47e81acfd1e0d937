//! `CopiedOldBinaries`: the init container has staged the old programs; here they prove that they run
//! in the target image, and the target's programs prove what they are.

use std::path::Path;

use pgops_api::layout;
use pgops_api::plan::Step;

use super::world::say;
use super::{StepError, Upgrade};
use crate::worker::staged_program::PROGRAMS;

/// The target's programs that the upgrade runs.
const NEW_PROGRAMS: [&str; 11] = [
    "postgres",
    "initdb",
    "pg_upgrade",
    "pg_ctl",
    "pg_controldata",
    "pg_resetwal",
    "pg_dump",
    "pg_dumpall",
    "pg_restore",
    "psql",
    "vacuumdb",
];

pub(super) fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let (from, to) = (upgrade.plan.from.pg_version()?, upgrade.plan.to.pg_version()?);
    upgrade.new_installation()?.prove(&NEW_PROGRAMS, to)?;
    upgrade.old_installation()?.prove(&PROGRAMS, from)?;
    let staged = Path::new(layout::OLD_DIR).join(crate::worker::staged_program::LIBRARIES);
    let libraries =
        std::fs::read_dir(&staged).map_err(StepError::volume("list the staged libraries"))?.count();
    say(
        Step::CopiedOldBinaries,
        format!(
            "image runs PostgreSQL {to}; old programs run there: {from} with its own loader and {libraries} libraries"
        ),
    );
    Ok(())
}
