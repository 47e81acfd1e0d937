//! The rehearsal: a scratch server of the target version is created in the worker's own file system, and the schema of
//! every database is restored into it. This finds, while the database serves, what would fail `pg_upgrade` after the old
//! server was stopped, and after everything that its `--check` covers.

use std::time::{Duration, Instant};

use pgops_api::plan::Step;

use super::escalation::{Escalation, MayDump};
use super::{configuration, not_carried_over, text_order, volume};
use crate::postgres::client::catalog::{count_tables, has_room_for_locks};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::collation::versions::CollationVersion;
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::program::command::CommandError;
use crate::postgres::program::reported_error::ReportedError;
use crate::postgres::schema_rehearsal::{RehearsalResult, SchemaSource, database, drop_database, globals};
use crate::postgres::server::scratch::{Scratch, ScratchError};
use crate::upgrade::{Finding, StepError, UpgradeContext, warn_step};

/// The result of the rehearsal.
#[derive(Default)]
pub struct Rehearsed {
    pub findings: Vec<Finding>,
    /// The success in one line and how long it took, if all of it succeeded.
    pub success: Option<(String, Duration)>,
    /// The rights that the rehearsal has compared, for the comparison after `pg_upgrade`; none if the roles failed.
    pub baseline: Option<Baseline>,
}

/// Rehearses, and leaves nothing behind. `collations` are the versions of the old server, if they are known.
pub async fn rehearse(
    upgrade: &UpgradeContext,
    ip: &str,
    inventory: &Inventory,
    collations: Option<&[CollationVersion]>,
    drop_column_option: bool,
) -> Result<Rehearsed, StepError> {
    let installation = upgrade.new_installation()?;
    let directory = UpgradeContext::scratch().join("rehearsal");
    let scratch = match Scratch::init(&installation, &directory, &inventory.shape).await {
        Ok(scratch) => scratch,
        Err(ScratchError::Command(CommandError::Ended { tail, .. }))
            if ReportedError::parse(&tail).is_missing_locale() =>
        {
            let findings =
                vec![finding("template0", &RehearsalResult::NotRestored(ReportedError::parse(&tail)))];
            return Ok(Rehearsed {
                findings: findings.into_iter().flatten().collect(),
                success: None,
                baseline: None,
            });
        }
        Err(error) => return Err(error.into()),
    };
    let source = SchemaSource {
        new: &installation,
        superuser: &upgrade.superuser,
        ip,
        install_user: &inventory.shape.install_user,
        drop_column_option,
    };
    let result = perform(upgrade, &source, &scratch, inventory, collations).await;
    scratch.remove().await?;
    let mut rehearsed = result?;
    // Libraries that the image lacks have findings of their own already.
    rehearsed.findings.retain(|finding| {
        let is_about_missing = |(library, _): &(String, String)| {
            finding.text.contains(&format!("\"{library}\"")) && !installation.has_library(library)
        };
        !inventory.libraries.iter().any(is_about_missing)
    });
    Ok(rehearsed)
}

async fn perform(
    upgrade: &UpgradeContext,
    source: &SchemaSource<'_>,
    scratch: &Scratch,
    inventory: &Inventory,
    collations: Option<&[CollationVersion]>,
) -> Result<Rehearsed, StepError> {
    let began = Instant::now();
    let mut findings = Vec::new();
    let settings = configuration::check(upgrade, scratch, inventory).await?;
    findings.extend(volume::left_in_tablespaces(upgrade, scratch).await?);
    let old_pgdata = upgrade.volume.data_dir(upgrade.old_major);
    findings.extend(not_carried_over::notes(&old_pgdata, &scratch.pgdata())?);
    scratch.start(upgrade.new_major, inventory.largest_database).await?;
    findings.extend(settings.check_sessions(scratch, &inventory.settings_for_all).await?);
    findings.extend(settings.findings);
    let serving = upgrade.superuser.connect(source.ip, "postgres").await?;
    let new_cluster = scratch.connect("postgres").await?;
    let mut escalation =
        Escalation::begin(&serving, &new_cluster, upgrade.old_major, upgrade.new_major).await?;
    // It is dropped and created again.
    drop(new_cluster);
    // Without its roles no database can be restored.
    let roles = finding(ROLES, &globals(source, scratch).await?);
    if roles.is_some() {
        findings.extend(roles);
        return Ok(Rehearsed { findings, success: None, baseline: None });
    }
    let databases = in_order(&inventory.databases);
    let restored = restore_all(upgrade, source, scratch, &databases, collations, &mut escalation).await?;
    findings.extend(restored.findings);
    let (escalations, baseline) = escalation.finish();
    findings.extend(escalations);
    let success = (restored.databases == databases.len()).then(|| {
        let took = began.elapsed();
        let line = format!(
            "schema of {} databases restored into a scratch {} server: {} tables, {:.1} s",
            restored.databases,
            upgrade.plan.to.version,
            restored.tables,
            took.as_secs_f64()
        );
        (line, took)
    });
    Ok(Rehearsed { findings, success, baseline: Some(baseline) })
}

/// What was restored, and what was found on the way.
#[derive(Default)]
struct Restored {
    findings: Vec<Finding>,
    databases: usize,
    tables: u64,
}

/// Restores the schema of one database after the other, each dropped before the next.
async fn restore_all(
    upgrade: &UpgradeContext,
    source: &SchemaSource<'_>,
    scratch: &Scratch,
    databases: &[&str],
    collations: Option<&[CollationVersion]>,
    escalation: &mut Escalation,
) -> Result<Restored, StepError> {
    let mut restored = Restored::default();
    let mut dependents = Vec::new();
    for &name in databases {
        let serving = upgrade.superuser.connect(source.ip, name).await?;
        if escalation.read_source(&serving, name).await? == MayDump::No {
            continue;
        }
        if !has_room_for_locks(&serving).await? {
            restored.findings.push(too_many_tables(name));
            continue;
        }
        let refused = finding(name, &database(source, scratch, name).await?);
        if refused.is_none() {
            restored.databases += 1;
            let client = scratch.connect(name).await?;
            let server = scratch.connect("postgres").await?;
            escalation.check_restored(&client, &server, &serving, name).await?;
            restored.tables += count_tables(&client).await?;
            if let Some(collations) = collations {
                match text_order::dependents(upgrade, source.ip, &client, collations, name).await {
                    Ok(found) => dependents.extend(found),
                    // They are looked for again after the outage.
                    Err(error) => warn_step(Step::Preflight, &error),
                }
            }
        }
        restored.findings.extend(refused);
        if let Err(error) = drop_database(scratch, name).await {
            warn_step(Step::Preflight, &error);
        }
    }
    restored.findings.extend(text_order::note(&dependents, upgrade.plan.reindex));
    Ok(restored)
}

/// Stands for the roles where a finding names a database.
const ROLES: &str = "(roles of the server)";

/// The template comes first: the others are created from it.
fn in_order(databases: &[String]) -> Vec<&str> {
    let mut names: Vec<_> =
        databases.iter().map(String::as_str).filter(|name| *name != "template0").collect();
    names.sort_by_key(|name| *name != "template1");
    names
}

fn finding(database: &str, result: &RehearsalResult) -> Option<Finding> {
    let (id, refusal, remedy) = match result {
        RehearsalResult::Passed => return None,
        RehearsalResult::NotDumped(refusal) if refusal.is_lock_timeout() => (
            "schema-locked",
            refusal,
            "another session holds a lock on a table: apply a new request when it has ended",
        ),
        RehearsalResult::NotDumped(refusal) => (
            "schema-dump",
            refusal,
            "the definition cannot be dumped, and pg_upgrade could not dump it either: fix or drop it",
        ),
        RehearsalResult::NotRestored(refusal) if refusal.is_missing_locale() => {
            ("locale", refusal, "the target image lacks a locale: use one that has it")
        }
        RehearsalResult::NotRestored(refusal) => (
            "schema-restore",
            refusal,
            "the target version rejects this definition: change or drop it; it is the first in its database, and there \
             may be more",
        ),
    };
    Some(Finding::new(id, format!("database \"{database}\": {refusal}: {remedy}")))
}

fn too_many_tables(database: &str) -> Finding {
    Finding::note(
        "schema-not-rehearsed",
        format!(
            "dumping the schema of database \"{database}\" would use most of the server's lock table: raise \
             max_locks_per_transaction to have it rehearsed"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(error: &str) -> ReportedError {
        ReportedError { message: error.into(), statement: Some("CREATE VIEW v AS".into()) }
    }

    #[test]
    fn template1_comes_first_and_template0_is_left_out() {
        let names = ["a", "postgres", "template0", "template1"].map(ToOwned::to_owned);
        assert_eq!(in_order(&names), ["template1", "a", "postgres"]);
    }

    #[test]
    fn passed_restore_has_no_finding() {
        assert_eq!(finding("shop", &RehearsalResult::Passed), None);
    }

    #[test]
    fn rejected_definition_is_named_with_database_and_error() {
        let found = finding("shop", &RehearsalResult::NotRestored(refusal("column does not exist"))).unwrap();
        let text = found.to_string();
        assert!(found.blocks(), "{text}");
        for expected in ["[schema-restore]", "\"shop\"", "column does not exist", "CREATE VIEW v AS"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[rstest::rstest]
    #[case::lock(
        RehearsalResult::NotDumped(refusal("canceling statement due to lock timeout")),
        "schema-locked"
    )]
    #[case::dump(RehearsalResult::NotDumped(refusal("cache lookup failed")), "schema-dump")]
    #[case::locale(RehearsalResult::NotRestored(refusal("invalid LC_CTYPE locale name")), "locale")]
    fn kinds_of_refusal_have_their_own_findings(#[case] result: RehearsalResult, #[case] id: &str) {
        assert_eq!(finding("shop", &result).unwrap().id, id);
    }
}
