//! The rehearsal: a scratch server of the target version is created in the worker's own file system, and the schema of
//! every database is restored into it. This finds, while the database serves, what would fail `pg_upgrade` after the old
//! server was stopped, and after everything that its `--check` covers.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use pgops_api::layout::REHEARSAL_DIR;
use pgops_api::plan::Step;

use super::configuration::Checked;
use super::definitions::Definitions;
use super::escalation::{Escalation, MayDump};
use super::text_order;
use crate::postgres::client::catalog::{count_tables, has_room_for_locks};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::collation::versions::CollationVersion;
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::program::reported_error::ReportedError;
use crate::postgres::schema_rehearsal::{RehearsalResult, SchemaSource, database, drop_restored, globals};
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{Finding, StepError, UpgradeContext, warn_step};

/// What is rehearsed.
pub struct Source<'a> {
    /// Address of the serving database.
    pub ip: &'a str,
    pub inventory: &'a Inventory,
    /// The collation versions of the serving database, if they are known.
    pub collations: Option<&'a [CollationVersion]>,
    /// Whether the dump must leave out the column option that the target does not know.
    pub drop_column_option: bool,
    /// Libraries that the target lacks: they have findings of their own.
    pub missing_libraries: &'a BTreeSet<String>,
}

/// The result of the rehearsal.
#[derive(Default)]
pub struct Rehearsed {
    pub findings: Vec<Finding>,
    /// The success in one line and how long it took, if all of it succeeded.
    pub success: Option<(String, Duration)>,
    /// The rights that the rehearsal has compared, for the comparison after `pg_upgrade`; none if the roles failed.
    pub baseline: Option<Baseline>,
}

/// Rehearses, and leaves nothing behind. The dumps are made where the serving database can be reached, and restored where
/// nothing can.
pub async fn rehearse(
    upgrade: &UpgradeContext,
    source: &Source<'_>,
    settings: &Checked,
) -> Result<Rehearsed, StepError> {
    let programs = upgrade.rehearsal_programs().await?;
    let directory = UpgradeContext::scratch().join("rehearsal");
    let shape = &source.inventory.shape;
    let scratch = Scratch::init(&programs, &directory, Path::new(REHEARSAL_DIR), shape).await?;
    let result = perform(upgrade, source, &scratch, settings).await;
    scratch.remove().await?;
    // Whatever else the restored code has started.
    programs.agent.kill_all().await?;
    let mut rehearsed = result?;
    rehearsed.findings.retain(|finding| {
        let is_about = |library: &String| finding.text.contains(&format!("\"{library}\""));
        !source.missing_libraries.iter().any(is_about)
    });
    Ok(rehearsed)
}

async fn perform(
    upgrade: &UpgradeContext,
    source: &Source<'_>,
    scratch: &Scratch,
    settings: &Checked,
) -> Result<Rehearsed, StepError> {
    let began = Instant::now();
    let inventory = source.inventory;
    let mut findings = Vec::new();
    scratch.start(upgrade.new_major, inventory.largest_database).await?;
    findings.extend(settings.check_sessions(scratch, &inventory.settings_for_all).await?);
    let programs = upgrade.new_programs().await?;
    let proxy = upgrade.proxy(source.ip).await?;
    let wrapper = UpgradeContext::scratch().join("bin");
    if source.drop_column_option {
        programs.agent.link_programs(programs.installation.bindir.clone(), wrapper.clone()).await?;
    }
    let schema = SchemaSource {
        programs: &programs,
        proxy: &proxy,
        install_user: &inventory.shape.install_user,
        wrapper: source.drop_column_option.then_some(wrapper),
    };
    let serving = upgrade.superuser.connect(source.ip, "postgres").await?;
    let new_cluster = scratch.connect("postgres").await?;
    let mut escalation =
        Escalation::begin(&serving, &new_cluster, upgrade.old_major, upgrade.new_major).await?;
    let mut definitions = Definitions::begin(&serving, &new_cluster, &programs, upgrade.new_major).await;
    // It is dropped and created again.
    drop(new_cluster);
    // Without its roles no database can be restored.
    let roles = finding(ROLES, &globals(&schema, scratch).await?);
    if roles.is_some() {
        findings.extend(roles);
        findings.extend(definitions.finish());
        return Ok(Rehearsed { findings, success: None, baseline: None });
    }
    let databases = in_order(&inventory.databases);
    let restored =
        restore_all(upgrade, source, &schema, scratch, &databases, &mut escalation, &mut definitions).await?;
    findings.extend(restored.findings);
    findings.extend(definitions.finish());
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
    source: &Source<'_>,
    schema: &SchemaSource<'_>,
    scratch: &Scratch,
    databases: &[&str],
    escalation: &mut Escalation,
    definitions: &mut Definitions,
) -> Result<Restored, StepError> {
    let mut restored = Restored::default();
    let mut dependents = Vec::new();
    for &name in databases {
        let serving = upgrade.superuser.connect(source.ip, name).await?;
        definitions.read_source(&serving, scratch, name).await;
        if escalation.read_source(&serving, name).await? == MayDump::No {
            continue;
        }
        if !has_room_for_locks(&serving).await? {
            restored.findings.push(too_many_tables(name));
            continue;
        }
        let refused = finding(name, &database(schema, scratch, name).await?);
        if refused.is_none() {
            restored.databases += 1;
            let client = scratch.connect(name).await?;
            let server = scratch.connect("postgres").await?;
            escalation.check_restored(&client, &server, &serving, name).await?;
            definitions.read_restored(&client, scratch, name).await;
            restored.tables += count_tables(&client).await?;
            if let Some(collations) = source.collations {
                match text_order::dependents(upgrade, source.ip, &client, collations, name).await {
                    Ok(found) => dependents.extend(found),
                    // They are looked for again after the outage.
                    Err(error) => warn_step(Step::Preflight, &error),
                }
            }
        }
        restored.findings.extend(refused);
        if let Err(error) = drop_restored(scratch).await {
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
            return Some(missing_locale(database, refusal));
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

/// The target image lacks a locale that a database has.
pub fn missing_locale(database: &str, refusal: &ReportedError) -> Finding {
    let remedy = "the target image lacks a locale: use one that has it";
    Finding::new("locale", format!("database \"{database}\": {refusal}: {remedy}"))
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
