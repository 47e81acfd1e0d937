//! The status of a database: a pure function of what was observed.

mod certificates;
mod conditions;
mod observed;
mod settings;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use pgops_api::condition;
use pgops_api::postgres::{CONDITION_READY, PostgresPhase, PostgresStatus, ServerStatus};
use pgops_api::{Condition, Postgres};

use crate::deletion::DeletionBlocker;
use crate::design::has_standbys;
use crate::members::has_ready_primary;
use crate::observation::Observation;
use crate::unready::Unready;
use conditions::Conditions;
pub use observed::Observed;
use observed::Servers;

/// The status of a database. Conditions that are not the provisioner's stay unchanged.
pub fn status(database: &Postgres, observed: &Observed) -> PostgresStatus {
    let mut status = database.status.clone().unwrap_or_default();
    let servers = observed.workload.map(Servers::of);
    let counted = match servers {
        None => false,
        // Just changed and not counted yet: the previous status is the best answer.
        Some(servers) if !servers.current => {
            condition::find(&status.conditions, CONDITION_READY).is_some_and(Condition::is_true)
        }
        Some(servers) => servers.wanted > 0 && servers.ready >= servers.wanted,
    };
    // The StatefulSet's controller may count late, or not run at all.
    let is_hidden = observed.running.unready.as_ref().is_some_and(Unready::hides_the_server);
    let ready = counted && !observed.running.server_pod.is_unready() && !is_hidden;
    let halted = database.spec.halted.unwrap_or_default()
        && servers.is_none_or(|servers| servers.wanted == 0 && servers.remaining == 0);
    let has_primary = ready || observed.running.members.as_deref().is_some_and(has_ready_primary);
    status.phase = Some(match (halted, ready, has_primary, database.was_initialized()) {
        (true, _, _, _) => PostgresPhase::Halted,
        (_, true, _, _) => PostgresPhase::Ready,
        (_, _, true, _) => PostgresPhase::Critical,
        (_, _, _, true) => PostgresPhase::NotReady,
        (_, _, _, false) => PostgresPhase::Provisioning,
    });
    // While the database is paused nothing is built, whatever its spec says by now.
    if database.paused().is_none() {
        status.observed_generation = database.metadata.generation;
    }
    status.server = server(&status, observed.running);
    status.members = observed.workload.filter(|workload| has_standbys(workload)).and_then(|_| {
        // A read that failed leaves what was known.
        observed.running.members.clone().or_else(|| status.members.take())
    });

    let generation = status.observed_generation;
    let mut conditions = Conditions { all: &mut status.conditions, database, generation, now: &observed.now };
    conditions.provisioning_started(observed);
    conditions.image(observed.image);
    conditions.readiness(observed, servers, ready);
    conditions.provisioned(has_primary);
    conditions.restart(&observed.running.restart);
    conditions.storage(observed.running.expansion.as_ref());
    conditions.volume(&observed.running.volume);
    conditions.next_pod(observed.running);
    conditions.auth_secret(observed.running);
    conditions.settings(observed.running);
    conditions.certificates(observed.running);
    conditions.halted(halted);
    conditions.deletion(observed.blocker);
    conditions.degraded();
    status
}

/// The status of a deleted database whose objects are being removed, and what holds that up.
pub fn of_removal(database: &Postgres, blocker: Option<&DeletionBlocker>, now: &Time) -> PostgresStatus {
    let mut status = database.status.clone().unwrap_or_default();
    if status.phase != Some(PostgresPhase::Halted) {
        status.phase = Some(PostgresPhase::NotReady);
    }
    let generation = database.metadata.generation;
    status.observed_generation = generation;
    let mut conditions = Conditions { all: &mut status.conditions, database, generation, now };
    conditions.removal();
    conditions.deletion(blocker);
    status
}

/// A server that was not asked, or did not answer, is reported as before.
fn server(before: &PostgresStatus, running: &Observation) -> Option<ServerStatus> {
    let pod = running.pod.clone()?;
    let before = before.server.clone().filter(|before| before.pod == pod).unwrap_or_default();
    let answer = running.instance.as_ref();
    Some(ServerStatus {
        pod,
        version: answer.and_then(|answer| answer.server_version.clone()).or(before.version),
        storage: answer.and_then(|answer| answer.storage.clone()).or(before.storage),
    })
}
