//! The hook of the chart that prepares the removal of pgops, for one namespace as if pgops watched no other.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::batch::v1::Job;

use crate::chart::ChartPart;
use crate::namespace::Namespace;
use crate::wait::wait_for;

const TIMEOUT: Duration = Duration::from_mins(3);

/// Runs the hook of a release; returns whether it succeeded, and its log. The name must contain `pgops`, and be used by one test
/// only.
pub async fn prepare_removal(ns: &Namespace, release: &str) -> anyhow::Result<(bool, String)> {
    let hook = ChartPart::render(ns, release, &["uninstall/rbac.yaml", "uninstall/job.yaml"]).await?;
    hook.apply().await?;
    let result = hook_result(ns, &format!("{release}-uninstall")).await;
    hook.delete().await?;
    result
}

async fn hook_result(ns: &Namespace, name: &str) -> anyhow::Result<(bool, String)> {
    let has = |job: &Job, type_: &str| {
        let mut conditions = job.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
        conditions.any(|it| it.type_ == type_ && it.status == "True")
    };
    let ended = |job: Option<&Job>| job.is_some_and(|job| has(job, "Complete") || has(job, "Failed"));
    let job = wait_for(&ns.api(), name, "the end of the hook", TIMEOUT, ended).await?;
    let job = job.context("the hook's Job was deleted")?;
    let log = ns.kubectl(&["logs", &format!("job/{name}")], None).await?.succeeded()?;
    Ok((has(&job, "Complete"), log.stdout))
}
