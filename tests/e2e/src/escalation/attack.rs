//! Attacks on one server, and what must have become of them.

use anyhow::{Context, ensure};

use super::case::{Case, Expected};
use crate::database::Database;
use crate::differential::Pair;
use crate::differential::preflight::{self, Finding};
use crate::namespace::Namespace;

/// Creates the cases on one server and requests a dry run, then the upgrade. If any case must be found, the preflight
/// refuses both; else the upgrade succeeds. Either way no role has gained superuser rights.
pub async fn attack_all(ns: &Namespace, pair: Pair, cases: &[&Case]) -> anyhow::Result<()> {
    let orders = ns.postgres("orders").version(pair.from).ready().await?;
    for case in cases {
        create(&orders, case).await.with_context(|| format!("failed to create {}", case.name))?;
    }
    ensure_no_superusers(&orders).await.context("before the request")?;
    let findings = preflight::run(&orders, &pair).await?;
    ensure_no_superusers(&orders).await.context("after the dry run")?;
    for case in cases {
        ensure_found(case, &findings).with_context(|| format!("{}: {findings:?}", case.name))?;
    }
    let upgrade = ns.upgrade("real").database("orders").to(pair.to).create().await?;
    let serves = if cases.iter().any(|case| case.blocks()) {
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        pair.from
    } else {
        upgrade.wait_successful().await?;
        pair.to
    };
    ensure_no_superusers(&orders).await.context("after the request")?;
    let version = orders.server_version().await?;
    ensure!(version == serves, "the server reports {version}, not {serves}");
    Ok(())
}

async fn create(orders: &Database, case: &Case) -> anyhow::Result<()> {
    let role = case.role();
    orders.sql("postgres", &format!("CREATE ROLE {role} LOGIN")).await?;
    orders.sql("postgres", &format!("CREATE DATABASE {role} OWNER {role}")).await?;
    orders.sql(&role, &case.script()).await.map(drop)
}

async fn ensure_no_superusers(orders: &Database) -> anyhow::Result<()> {
    let superusers = "SELECT rolname FROM pg_roles WHERE rolsuper AND oid >= 16384";
    let found = orders.sql("postgres", superusers).await?.concat();
    ensure!(found.is_empty(), "roles have become superusers: {found:?}");
    Ok(())
}

fn ensure_found(case: &Case, findings: &[Finding]) -> anyhow::Result<()> {
    let role = case.role();
    let naming = |id: &str, object: &str| {
        let mut of_id = findings.iter().filter(|finding| finding.id == id);
        of_id.find(|finding| names_object(&finding.text, &role, object))
    };
    let names = |id: &str, object: &str| naming(id, object).is_some();
    let escalates = findings.iter().any(|finding| {
        finding.id == "privilege-escalation" && finding.text.contains(&format!("role \"{role}\": SUPERUSER"))
    });
    match case.expected {
        Expected::Refused(object) => {
            let finding = naming("restore-code", object);
            let finding = finding.with_context(|| format!("restore-code should name {object}"))?;
            ensure!(finding.text.contains("not rehearsed"), "{finding:?}");
        }
        Expected::Escalates(object) => {
            ensure!(names("restore-code", object), "restore-code should name {object}");
            ensure!(escalates, "privilege-escalation should name the role");
        }
        Expected::Runs(object) => ensure!(names("restore-code", object), "restore-code should name {object}"),
        Expected::Noted(object) => {
            ensure!(names("code-in-definitions", object), "code-in-definitions should name {object}");
        }
        Expected::Silent => {}
    }
    ensure!(
        escalates == matches!(case.expected, Expected::Escalates(_)),
        "the rehearsal gives superuser rights: {escalates}"
    );
    Ok(())
}

/// Whether a finding names an object as what uses code of the database: `s.f(integer) of "a" in "a" (used by table s.t)`.
fn names_object(text: &str, database: &str, object: &str) -> bool {
    let begin = format!("in \"{database}\" (used by ");
    let users = text.split(&begin).skip(1);
    users.map(|rest| rest.split(" in \"").next().unwrap_or(rest)).any(|users| users.contains(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "drop it: s.act() of \"a\" in \"a\" (used by another function), s.key(integer) of \"b\" in \"b\" (used by \
                        table s.t, constraint c)";

    #[test]
    fn finding_names_the_object_of_its_database() {
        assert!(names_object(TEXT, "b", "table s.t") && names_object(TEXT, "b", "constraint c"));
        assert!(names_object(TEXT, "a", "another function"));
        assert!(!names_object(TEXT, "a", "table s.t") && !names_object(TEXT, "c", "table s.t"));
    }
}
