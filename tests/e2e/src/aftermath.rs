//! What must be true after a request has ended.

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use pgops_api::opsrequest::{CONDITION_FAILED, CONDITION_SUCCESSFUL};
use pgops_api::plan::{Step, UpgradeKind};
use pgops_api::postgres::PostgresPhase;
use pgops_api::{Condition, PgVersion, PostgresOpsRequest, PostgresVersion, condition, names};

use crate::fingerprint::complaints;
use crate::{Database, Fingerprint, Upgrade};

/// Waits for the upgrade and proves it: the request, the objects, the server, all of the data.
///
/// `before` is what the database held, and what it must hold.
pub async fn assert_upgraded(
    database: &Database,
    upgrade: &Upgrade,
    before: &Fingerprint,
) -> anyhow::Result<()> {
    assert_upgraded_after_restarts(database, upgrade, before).await?;
    was_not_restarted(database).await
}

/// The same where the new server had to be started again and again, as it could not run at first.
pub async fn assert_upgraded_after_restarts(
    database: &Database,
    upgrade: &Upgrade,
    before: &Fingerprint,
) -> anyhow::Result<()> {
    let request = upgrade.wait_successful().await?;
    let from =
        request.status.as_ref().and_then(|status| status.from.clone()).context("status.from is empty")?;
    let (from, to) =
        (catalog(database, &from).await?, catalog(database, request.target().unwrap_or_default()).await?);
    let (old, new): (PgVersion, PgVersion) = (from.spec.version.parse()?, to.spec.version.parse()?);
    let kind = if old.major == new.major { UpgradeKind::Minor } else { UpgradeKind::Major };
    request_is_whole(&request, kind)?;

    let jobs = database.namespace().jobs_of(upgrade.name()).await?;
    ensure!(jobs.len() == 1, "{} has {} Jobs", upgrade.name(), jobs.len());

    let postgres = database.wait_ready().await?;
    let version = &postgres.spec.version;
    ensure!(Some(version.as_str()) == request.target(), "spec.version is still {version}");
    ensure!(postgres.paused().is_none(), "the database is still paused: {:?}", postgres.paused());
    runs_image(database, &to.spec.db.image).await?;
    is_tied_to_no_node(database).await?;

    let answer = database.server_version().await?;
    ensure!(answer == to.spec.version, "the server says {answer}, not {}", to.spec.version);
    before.ensure_same(&database.fingerprint().await?)?;
    let found = complaints(database, kind == UpgradeKind::Major).await?;
    ensure!(found.is_empty(), "{} complaints:\n{}", found.len(), found.join("\n"));
    Ok(())
}

/// Proves that the request is Successful all the same, that the step does not stand, and that both say why.
pub fn assert_left_undone(request: &PostgresOpsRequest, step: Step, parts: &[&str]) -> anyhow::Result<()> {
    let conditions = &request.status.as_ref().context("the request has no status")?.conditions;
    let find =
        |type_: &str| condition::find(conditions, type_).with_context(|| format!("{type_} is not told"));
    let (undone, end) = (find(&step.to_string())?, find(CONDITION_SUCCESSFUL)?);
    ensure!(end.is_true(), "the request is not successful: {end:?}");
    ensure!(undone.status == "False", "the step that failed stands: {undone:?}");
    ensure!(undone.reason == Some(format!("{step}Failed")), "its reason: {undone:?}");
    let says = |condition: &Condition, part| condition.message.as_deref().unwrap_or_default().contains(part);
    for part in parts {
        ensure!(says(undone, part) && says(end, part), "{part:?} should be in {undone:?} and {end:?}");
    }
    Ok(())
}

/// Proves that a database serves as before: same version, same data, not paused.
pub async fn assert_untouched(
    database: &Database,
    version: &str,
    before: &Fingerprint,
) -> anyhow::Result<()> {
    let postgres = database.wait_ready().await?;
    ensure!(postgres.spec.version == version, "spec.version is {}, not {version}", postgres.spec.version);
    ensure!(postgres.phase() == PostgresPhase::Ready, "the phase is {}", postgres.phase());
    ensure!(postgres.paused().is_none(), "the database is paused: {:?}", postgres.paused());
    let entry = catalog(database, version).await?;
    runs_image(database, &entry.spec.db.image).await?;
    was_not_restarted(database).await?;
    let answer = database.server_version().await?;
    ensure!(answer == entry.spec.version, "the server says {answer}, not {}", entry.spec.version);
    before.ensure_same(&database.fingerprint().await?)
}

/// The entry of the catalog with that name.
pub(crate) async fn catalog(database: &Database, name: &str) -> anyhow::Result<PostgresVersion> {
    let catalog = Api::<PostgresVersion>::all(database.namespace().cluster().client.clone());
    catalog.get(name).await.with_context(|| format!("failed to read PostgresVersion {name}"))
}

/// Every step is a condition that stands, in the order of the steps, and one condition says the end.
fn request_is_whole(request: &PostgresOpsRequest, kind: UpgradeKind) -> anyhow::Result<()> {
    let status = request.status.as_ref().context("the request has no status")?;
    let shown = crate::request::conditions(request);
    let position = |step: &Step| status.conditions.iter().position(|found| found.type_ == step.to_string());
    let positions: Option<Vec<usize>> = Step::sequence(kind).iter().map(position).collect();
    let positions = positions.with_context(|| format!("a step has no condition: {shown}"))?;
    ensure!(positions.is_sorted(), "the conditions are not in the order of the steps: {shown}");
    let done = positions.iter().all(|at| status.conditions[*at].is_true());
    ensure!(done, "a step of a successful request does not stand: {shown}");
    let stands =
        |type_| condition::find(&status.conditions, type_).is_some_and(pgops_api::Condition::is_true);
    ensure!(stands(CONDITION_SUCCESSFUL) && !stands(CONDITION_FAILED), "the end is not told: {shown}");
    let outage = status.outage.as_deref().context("status.outage is empty")?;
    ensure!(
        outage.ends_with('s') && outage.starts_with(|c: char| c.is_ascii_digit()),
        "status.outage is {outage:?}"
    );
    Ok(())
}

/// The pod runs the image of its version.
async fn runs_image(database: &Database, image: &str) -> anyhow::Result<()> {
    let pod = database.namespace().api::<Pod>().get(&names::pod(database.name(), 0)).await?;
    let containers = pod.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
    let postgres = containers.iter().find(|container| container.name == names::CONTAINER_POSTGRES);
    let running = postgres.and_then(|container| container.image.as_deref());
    ensure!(running == Some(image), "the pod runs image {running:?}, not {image}");
    Ok(())
}

/// The next pod may go to any node, as before.
async fn is_tied_to_no_node(database: &Database) -> anyhow::Result<()> {
    let workload = database.namespace().api::<StatefulSet>().get(database.name()).await?;
    let pod = workload.spec.and_then(|spec| spec.template.spec).context("the StatefulSet has no pod")?;
    ensure!(pod.affinity.is_none(), "the pod is tied to a node: {:?}", pod.affinity);
    Ok(())
}

/// The pod's server was not restarted behind anyone's back.
async fn was_not_restarted(database: &Database) -> anyhow::Result<()> {
    let pod = database.namespace().api::<Pod>().get(&names::pod(database.name(), 0)).await?;
    let statuses =
        pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let restarts: i32 = statuses.iter().map(|status| status.restart_count).sum();
    ensure!(restarts == 0, "containers of the database's pod were restarted {restarts} times");
    Ok(())
}
