//! Requests that change a running database without changing its version: restart, other resources, a larger volume, other
//! settings.
//!
//! The launcher orders them with the upgrades, and gives the database to one request at a time by the claim; nothing is done
//! for a request that the claim does not name. What to do next is a pure function of what was observed ([`decide`]), one step
//! each time. All that must be remembered is in the conditions of the request and in an annotation of the `Postgres`, which is
//! written together with the change of its spec: so the provisioner may be stopped after any line.

mod act;
mod change;
mod decide;
mod facts;
mod made;
mod outage;
mod password;
mod plan;
mod rollout;
mod status;
mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::jiff::Timestamp;
use pgops_api::opsrequest::{DayTwo, Phase};
use pgops_api::{Claim, Postgres, PostgresOpsRequest};
use pgops_kube::ApiError;

use crate::ask_next_pod;
use crate::context::Context;
use crate::expand::preview_expansion;
use crate::holder::holder;
use crate::next_pod::NextPod;
use crate::observation::{Observation, PodLookup};
use facts::Facts;
pub use facts::Template;

/// Pause before a request that is being executed is looked at again: what it waits for triggers nothing here.
const INTERVAL: Duration = Duration::from_secs(1);

/// Executes one step of the request that holds the database, if the provisioner executes it; returns when to look again.
pub async fn execute(
    context: &Context,
    database: &Postgres,
    workload: Option<&StatefulSet>,
    template: Template,
    running: &Observation,
) -> Result<Option<Duration>, ApiError> {
    let Some((request, operation)) = held_operation(context, database).await? else { return Ok(None) };
    match request.phase() {
        Phase::Progressing => {}
        // The launcher is about to start it, or to take the database back.
        phase => return Ok((!phase.is_terminal()).then_some(INTERVAL)),
    }
    // A pod that could not be read must not be taken for one that does not exist.
    if running.server_pod == PodLookup::Unknown {
        return Ok(Some(INTERVAL));
    }
    let preview = match request.spec.volume_size().filter(|_| operation == DayTwo::VolumeExpansion) {
        Some(size) => preview_expansion(context, database, size).await?,
        None => None,
    };
    let is_rolled_out = matches!(operation, DayTwo::Restart | DayTwo::VerticalScaling);
    let rollout = match workload.filter(|_| is_rolled_out) {
        Some(workload) => Box::pin(rollout::read(context, database, workload)).await?,
        None => None,
    };
    let mut facts = Facts {
        request: &request,
        operation,
        database,
        template,
        running,
        preview,
        next_pod: NextPod::NotAsked,
        rollout,
        now: Timestamp::now(),
    };
    let mut step = decide::next(&facts);
    if let Some(workload) = workload
        && decide::precedes_deletion(&facts, &step)
    {
        facts.next_pod = Box::pin(ask_next_pod::ask(context, database, workload, None)).await?;
        step = decide::next(&facts);
    }
    act::perform(context, &facts, step).await?;
    Ok(Some(INTERVAL))
}

/// The request that holds the database, with its operation, unless that is an upgrade.
async fn held_operation(
    context: &Context,
    database: &Postgres,
) -> Result<Option<(PostgresOpsRequest, DayTwo)>, ApiError> {
    // Only an upgrade has a Job.
    if Claim::on(database).ok().flatten().is_none_or(|claim| claim.job.is_some()) {
        return Ok(None);
    }
    let found = holder(context, database).await?;
    Ok(found.and_then(|request| request.day_two().map(|operation| (request, operation))))
}
