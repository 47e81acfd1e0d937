//! `Analyze`: collects planner statistics, which `pg_upgrade` does not carry before 18; plans without them are bad.

use pgops_api::plan::Step;
use pgops_api::session_options::{SessionKind, session_options};

use crate::upgrade::{StepError, UpgradeContext, log_step};

/// From this target version on `pg_upgrade` carries statistics, so that only missing ones are collected.
const CARRIES_STATISTICS: u32 = 18;

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let ip = upgrade.cluster.wait_ready(&upgrade.plan.to.image).await?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let proxy = upgrade.proxy(&ip).await?;
    let mut program = upgrade
        .new_programs()
        .await?
        .program("vacuumdb")
        .env(
            "PGOPTIONS",
            &format!("-c vacuum_cost_delay=0 {}", session_options(SessionKind::Program, upgrade.new_major)),
        )
        .args(["--all", "--analyze-in-stages", "--no-password", "--host", proxy.host()])
        .args(["--username", proxy.user(), "--jobs", &jobs.to_string()]);
    if upgrade.new_major >= CARRIES_STATISTICS {
        program = program.arg("--missing-stats-only");
    }
    program
        .each_line(|line| {
            if line.contains("Generating") {
                log_step(Step::Analyze, line.trim_start_matches("vacuumdb: "));
            }
        })
        .await?;
    Ok(())
}
