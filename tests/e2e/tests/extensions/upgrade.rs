//! Requests of these tests: what they refuse, and what they leave to an operator.

use anyhow::{Context, ensure};
use pgops_api::condition;
use pgops_api::plan::{Step, UpgradeKind};
use pgops_e2e::{Database, UpgradeRequest, format_conditions};

use crate::database::entry;

async fn request(database: &Database, name: &str, release: &str) -> anyhow::Result<UpgradeRequest> {
    database.namespace().upgrade(name).database(database.name()).to(&entry(release)).create().await
}

/// The findings with which an upgrade is refused, one a line: exactly these must block it, in any order.
pub async fn refused(
    database: &Database,
    name: &str,
    release: &str,
    expected: &[&str],
) -> anyhow::Result<Vec<String>> {
    let (reason, message) = request(database, name, release).await?.wait_failed().await?;
    ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
    let is_blocking = |line: &&str| line.starts_with('[') && !line.contains("] note: ");
    let findings: Vec<_> = message.lines().filter(is_blocking).map(ToOwned::to_owned).collect();
    let begins = |part: &&str| findings.iter().any(|finding| finding.starts_with(*part));
    ensure!(expected.iter().all(begins), "not all of {expected:?} are in {message}");
    ensure!(findings.len() == expected.len(), "more than {expected:?}: {message}");
    Ok(findings)
}

/// The finding that begins so.
pub fn finding<'a>(findings: &'a [String], begin: &str) -> anyhow::Result<&'a str> {
    let found = findings.iter().find(|finding| finding.starts_with(begin));
    found.map(String::as_str).with_context(|| format!("no finding begins with {begin:?}: {findings:?}"))
}

/// Waits for an upgrade; returns what its step `UpdateExtensions` has left to an operator. All other steps must succeed.
pub async fn upgraded(database: &Database, name: &str, release: &str) -> anyhow::Result<String> {
    let request = request(database, name, release).await?.wait_successful().await?;
    database.wait_ready().await?;
    let reported = database.server_version().await?;
    ensure!(reported == release, "the server reports {reported}, not {release}");
    let conditions = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let mut left = String::new();
    for step in Step::sequence(UpgradeKind::Major) {
        let found = condition::find(conditions, &step.to_string())
            .with_context(|| format!("{step} has no condition: {}", format_conditions(&request)))?;
        if found.is_true() {
            continue;
        }
        ensure!(*step == Step::UpdateExtensions, "{step} failed: {}", format_conditions(&request));
        left = found.message.clone().unwrap_or_default();
    }
    Ok(left)
}
