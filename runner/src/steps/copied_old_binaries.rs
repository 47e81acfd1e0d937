//! `CopiedOldBinaries`: the init container has staged the old programs; this step proves that they run in the target
//! image, and that the target's programs are of the target version.

use std::path::Path;

use pgops_api::layout;
use pgops_api::plan::Step;

use crate::upgrade::{StepError, UpgradeContext, log_step};
use crate::worker::staged_program::{LIBRARIES, PROGRAMS};

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

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let from = upgrade.plan.from.pg_version()?;
    let to = upgrade.plan.to.pg_version()?;
    upgrade.new_programs().await?.verify(&NEW_PROGRAMS, to).await?;
    let old = upgrade.old_programs().await?;
    old.verify(&PROGRAMS, from).await?;
    let libraries = old.agent.list_directory(Path::new(layout::OLD_DIR).join(LIBRARIES)).await?.len();
    log_step(
        Step::CopiedOldBinaries,
        format!(
            "image runs PostgreSQL {to}; old programs run in it: {from} with its own loader and {libraries} libraries"
        ),
    );
    Ok(())
}
