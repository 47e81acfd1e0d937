//! What must hold after a request has ended.

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use pgops_api::opsrequest::{CONDITION_FAILED, CONDITION_SUCCESSFUL};
use pgops_api::plan::{Step, UpgradeKind};
use pgops_api::postgres::PostgresPhase;
use pgops_api::{Condition, PgVersion, PostgresOpsRequest, condition, names};

use crate::conditions::format_conditions;
use crate::database::Database;
use crate::fingerprint::{Fingerprint, integrity_problems};
use crate::request::UpgradeRequest;

/// Waits for the upgrade and verifies it: the request, the objects, the server, all of the data.
///
/// `before` is the database's content before the upgrade, which must be the same afterwards.
pub async fn assert_upgraded(
    database: &Database,
    upgrade: &UpgradeRequest,
    before: &Fingerprint,
) -> anyhow::Result<()> {
    assert_upgraded_allowing_restarts(database, upgrade, before).await?;
    ensure_not_restarted(database).await
}

/// The same, for a new server that may have been restarted because it could not run at first.
pub async fn assert_upgraded_allowing_restarts(
    database: &Database,
    upgrade: &UpgradeRequest,
    before: &Fingerprint,
) -> anyhow::Result<()> {
    let request = upgrade.wait_successful().await?;
    let from =
        request.status.as_ref().and_then(|status| status.from.clone()).context("status.from is empty")?;
    let cluster = database.namespace().cluster();
    let from = cluster.catalog_entry(&from).await?;
    let to = cluster.catalog_entry(request.target().unwrap_or_default()).await?;
    let old: PgVersion = from.spec.version.parse()?;
    let new: PgVersion = to.spec.version.parse()?;
    let kind = if old.major == new.major { UpgradeKind::Minor } else { UpgradeKind::Major };
    ensure_request_is_complete(&request, kind)?;

    let jobs = database.namespace().jobs_of(upgrade.name()).await?;
    ensure!(jobs.len() == 1, "{} has {} Jobs", upgrade.name(), jobs.len());

    let postgres = database.wait_ready().await?;
    let version = &postgres.spec.version;
    ensure!(Some(version.as_str()) == request.target(), "spec.version is still {version}");
    ensure!(postgres.paused().is_none(), "the database is still paused: {:?}", postgres.paused());
    ensure_image(database, &to.spec.db.image).await?;
    ensure_no_required_node(database).await?;

    let reported = database.server_version().await?;
    ensure!(reported == to.spec.version, "the server reports {reported}, not {}", to.spec.version);
    before.ensure_same(&database.fingerprint().await?)?;
    let problems = integrity_problems(database, kind == UpgradeKind::Major).await?;
    ensure!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    Ok(())
}

/// Verifies that the request is Successful although the optional step failed, and that both conditions say why.
pub fn assert_step_given_up(request: &PostgresOpsRequest, step: Step, parts: &[&str]) -> anyhow::Result<()> {
    let conditions = &request.status.as_ref().context("the request has no status")?.conditions;
    let find =
        |type_: &str| condition::find(conditions, type_).with_context(|| format!("no condition {type_}"));
    let given_up = find(&step.to_string())?;
    let end = find(CONDITION_SUCCESSFUL)?;
    ensure!(end.is_true(), "the request is not successful: {end:?}");
    ensure!(given_up.status == "False", "the condition of the failed step is not False: {given_up:?}");
    ensure!(given_up.reason == Some(format!("{step}Failed")), "unexpected reason: {given_up:?}");
    let contains =
        |condition: &Condition, part| condition.message.as_deref().unwrap_or_default().contains(part);
    for part in parts {
        ensure!(
            contains(given_up, part) && contains(end, part),
            "{part:?} should be in {given_up:?} and {end:?}"
        );
    }
    Ok(())
}

/// Verifies that a database serves as before: same version, same data, not paused.
pub async fn assert_untouched(
    database: &Database,
    version: &str,
    before: &Fingerprint,
) -> anyhow::Result<()> {
    let postgres = database.wait_ready().await?;
    ensure!(postgres.spec.version == version, "spec.version is {}, not {version}", postgres.spec.version);
    ensure!(postgres.phase() == PostgresPhase::Ready, "the phase is {}", postgres.phase());
    ensure!(postgres.paused().is_none(), "the database is paused: {:?}", postgres.paused());
    let entry = database.namespace().cluster().catalog_entry(version).await?;
    ensure_image(database, &entry.spec.db.image).await?;
    ensure_not_restarted(database).await?;
    let reported = database.server_version().await?;
    ensure!(reported == entry.spec.version, "the server reports {reported}, not {}", entry.spec.version);
    before.ensure_same(&database.fingerprint().await?)
}

/// Each step has a condition that is True, in the order of the steps, and one condition announces the end.
pub fn ensure_request_is_complete(request: &PostgresOpsRequest, kind: UpgradeKind) -> anyhow::Result<()> {
    let status = request.status.as_ref().context("the request has no status")?;
    let shown = format_conditions(request);
    let position = |step: &Step| status.conditions.iter().position(|found| found.type_ == step.to_string());
    let positions: Option<Vec<usize>> = Step::sequence(kind).iter().map(position).collect();
    let positions = positions.with_context(|| format!("a step has no condition: {shown}"))?;
    ensure!(positions.is_sorted(), "the conditions are not in the order of the steps: {shown}");
    let all_true = positions.iter().all(|at| status.conditions[*at].is_true());
    ensure!(all_true, "a step's condition is not True although the request is successful: {shown}");
    let is_true = |type_| condition::find(&status.conditions, type_).is_some_and(Condition::is_true);
    ensure!(
        is_true(CONDITION_SUCCESSFUL) && !is_true(CONDITION_FAILED),
        "the end is not in the conditions: {shown}"
    );
    let outage = status.outage.as_deref().context("status.outage is empty")?;
    ensure!(
        outage.ends_with('s') && outage.starts_with(|c: char| c.is_ascii_digit()),
        "status.outage is {outage:?}"
    );
    Ok(())
}

/// The pod runs the image of its version.
async fn ensure_image(database: &Database, image: &str) -> anyhow::Result<()> {
    let pod = database.namespace().api::<Pod>().get(&names::pod(database.name(), 0)).await?;
    let containers = pod.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
    let postgres = containers.iter().find(|container| container.name == names::CONTAINER_POSTGRES);
    let running = postgres.and_then(|container| container.image.as_deref());
    ensure!(running == Some(image), "the pod runs image {running:?}, not {image}");
    Ok(())
}

/// The next pod may be scheduled to any node, as before.
async fn ensure_no_required_node(database: &Database) -> anyhow::Result<()> {
    let workload = database.namespace().api::<StatefulSet>().get(database.name()).await?;
    let pod = workload.spec.and_then(|spec| spec.template.spec);
    let pod = pod.context("the StatefulSet has no pod template")?;
    ensure!(pod.affinity.is_none(), "the pod template requires a node: {:?}", pod.affinity);
    Ok(())
}

/// The server was not restarted unnoticed.
async fn ensure_not_restarted(database: &Database) -> anyhow::Result<()> {
    let pod = database.namespace().api::<Pod>().get(&names::pod(database.name(), 0)).await?;
    let statuses =
        pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let restarts: i32 = statuses.iter().map(|status| status.restart_count).sum();
    ensure!(restarts == 0, "containers of the database's pod were restarted {restarts} times");
    Ok(())
}
