//! The rehearsal: a scratch server of the target version is created in the worker's own file system, and the schema of
//! every database is restored into it. This finds, while the database serves, what would fail `pg_upgrade` after the old
//! server was stopped, and after everything that its `--check` covers.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use pgops_api::layout::REHEARSAL_DIR;
use pgops_api::plan::Step;
use tokio_postgres::Client;

use super::census::Comparison;
use super::configuration::Checked;
use super::definitions::Definitions;
use super::escalation::{Escalation, MayDump};
use super::extension_objects::ExtensionObjects;
use super::restore_findings::Causes;
use super::{private_servers, text_order};
use crate::postgres::client::catalog::{count_tables, has_room_for_locks};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::collation::versions::CollationVersion;
use crate::postgres::extension::members::{RejectedExtensions, extensions_of_rejected};
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::program::reported_error::ReportedError;
use crate::postgres::program::restore_errors::RestoreErrors;
use crate::postgres::schema_rehearsal::{RehearsalResult, SchemaSource, database, drop_restored, globals};
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{CensusBaseline, Finding, StepError, UpgradeContext, log_step, warn_step};

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
    /// Objects of extensions that the target rejects.
    pub of_extensions: ExtensionObjects,
    /// The success in one line and how long it took, if all of it succeeded.
    pub success: Option<(String, Duration)>,
    /// The rights that the rehearsal has compared, for the comparison after `pg_upgrade`; none if the roles failed.
    pub baseline: Option<Baseline>,
    /// What the databases hold, for the comparison after `pg_upgrade`; none if it was not compared.
    pub census: Option<CensusBaseline>,
}

/// Rehearses, and leaves nothing behind. The dumps are made where the serving database can be reached, and restored where
/// nothing can.
pub async fn rehearse(
    upgrade: &UpgradeContext,
    source: &Source<'_>,
    settings: &mut Checked,
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
    rehearsed.findings.retain(|finding| !source.lacks_library_of(&finding.text));
    Ok(rehearsed)
}

async fn perform(
    upgrade: &UpgradeContext,
    source: &Source<'_>,
    scratch: &Scratch,
    settings: &mut Checked,
) -> Result<Rehearsed, StepError> {
    let began = Instant::now();
    let inventory = source.inventory;
    let mut findings = Vec::new();
    findings.extend(private_servers::start(upgrade, scratch, inventory, &mut settings.servers).await?);
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
        major: upgrade.old_major,
        install_user: &inventory.shape.install_user,
        wrapper: source.drop_column_option.then_some(wrapper),
    };
    let serving = upgrade.superuser.connect_server(source.ip).await?;
    let new_cluster = scratch.connect("postgres").await?;
    let mut escalation =
        Escalation::begin(&serving, &new_cluster, upgrade.old_major, upgrade.new_major).await?;
    let mut definitions = Definitions::begin(&serving, &new_cluster, &programs, upgrade.new_major).await;
    // It is dropped and created again.
    drop(new_cluster);
    // Without its roles no database can be restored.
    match globals(&schema, scratch).await? {
        RehearsalResult::Passed => {}
        RehearsalResult::NotDumped(refusal) => {
            findings.push(not_dumped(ROLES, &refusal));
            findings.extend(definitions.finish());
            return Ok(Rehearsed { findings, ..Rehearsed::default() });
        }
        RehearsalResult::NotRestored(errors) => {
            let mut causes = Causes::default();
            log(&causes.add(ROLES, errors, &RejectedExtensions::default()));
            findings.extend(causes.finish().0);
            findings.extend(definitions.finish());
            return Ok(Rehearsed { findings, ..Rehearsed::default() });
        }
    }
    let databases = in_order(&inventory.databases);
    let restored =
        restore_all(upgrade, source, &schema, scratch, &databases, &mut escalation, &mut definitions).await?;
    findings.extend(restored.findings);
    findings.extend(definitions.finish());
    let (escalations, baseline) = escalation.finish();
    findings.extend(escalations);
    let (lost, compared, census) = restored.comparison.finish();
    findings.extend(lost);
    let success = (restored.databases == databases.len()).then(|| {
        let took = began.elapsed();
        let line = format!(
            "schema of {} databases restored into a scratch {} server: {} tables; {} \
             objects and details of {} kinds compared; {:.1} s",
            restored.databases,
            upgrade.plan.to.version,
            restored.tables,
            compared.rows,
            compared.kinds,
            took.as_secs_f64()
        );
        (line, took)
    });
    Ok(Rehearsed {
        findings,
        of_extensions: restored.of_extensions,
        success,
        baseline: Some(baseline),
        census: Some(census),
    })
}

/// What was restored, and what was found on the way.
#[derive(Default)]
struct Restored {
    findings: Vec<Finding>,
    of_extensions: ExtensionObjects,
    databases: usize,
    tables: u64,
    comparison: Comparison,
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
    let serving = upgrade.superuser.connect_server(source.ip).await?;
    let comparison =
        Comparison::begin(&serving, &scratch.connect("postgres").await?, upgrade.old_major).await;
    let mut restored = Restored { comparison, ..Restored::default() };
    let mut dependents = Vec::new();
    let mut causes = Causes::default();
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
        let before = restored.comparison.read_source(&serving, name).await;
        match database(schema, scratch, name).await? {
            RehearsalResult::Passed => {
                restored.databases += 1;
                let client = scratch.connect(name).await?;
                let server = scratch.connect("postgres").await?;
                escalation.check_restored(&client, &server, &serving, name).await?;
                definitions.read_restored(&client, scratch, name).await;
                restored.comparison.check_restored(&serving, &client, name, before).await;
                restored.tables += count_tables(&client).await?;
                if let Some(collations) = source.collations {
                    match text_order::dependents(upgrade, source.ip, &client, collations, None, name).await {
                        Ok(found) => dependents.extend(found),
                        // They are looked for again after the outage.
                        Err(error) => warn_step(Step::Preflight, &error),
                    }
                }
            }
            RehearsalResult::NotDumped(refusal) => restored.findings.push(not_dumped(name, &refusal)),
            RehearsalResult::NotRestored(errors) => {
                add_errors(&mut causes, source, &serving, name, errors).await;
            }
        }
        if let Err(error) = drop_restored(scratch).await {
            warn_step(Step::Preflight, &error);
        }
    }
    let (findings, of_extensions) = causes.finish();
    restored.findings.extend(findings);
    restored.of_extensions = of_extensions;
    restored.findings.extend(text_order::note(&dependents, upgrade.plan.reindex));
    Ok(restored)
}

/// Adds the errors of the restore of a database, which `serving` is connected to on the serving server.
async fn add_errors(
    causes: &mut Causes,
    source: &Source<'_>,
    serving: &Client,
    database: &str,
    mut errors: RestoreErrors,
) {
    errors.errors.retain(|error| !source.lacks_library_of(&error.error.message));
    let objects: Vec<_> = errors.errors.iter().filter_map(|error| error.source).collect();
    // The errors are reported without them too.
    let extensions = extensions_of_rejected(serving, &objects).await.unwrap_or_else(|error| {
        warn_step(Step::Preflight, &error);
        RejectedExtensions::default()
    });
    log(&causes.add(database, errors, &extensions));
}

impl Source<'_> {
    /// Whether a message names a library that the target lacks, which has a finding of its own.
    fn lacks_library_of(&self, message: &str) -> bool {
        self.missing_libraries.iter().any(|library| names_library(message, library))
    }
}

/// From 18 on a server names a library without the `$libdir/` of its definition.
fn names_library(message: &str, library: &str) -> bool {
    let short = library.strip_prefix("$libdir/").unwrap_or(library);
    [library, short].iter().any(|name| message.contains(&format!("\"{name}\"")))
}

fn log(lines: &[String]) {
    for line in lines {
        log_step(Step::Preflight, line);
    }
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

/// A dump ends at its first error.
fn not_dumped(database: &str, refusal: &ReportedError) -> Finding {
    let (id, remedy) = if refusal.is_lock_timeout() {
        ("schema-locked", "another session holds a lock on a table: apply a new request when it has ended")
    } else {
        (
            "schema-dump",
            "the definition cannot be dumped, and pg_upgrade could not dump it either: fix or drop it; it is the first in \
             its database, and there may be more",
        )
    };
    Finding::new(id, format!("database \"{database}\": {refusal}: {remedy}"))
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
        ReportedError { message: error.into(), statement: Some("LOCK TABLE t".into()) }
    }

    #[rstest::rstest]
    #[case::before_18("could not access file \"$libdir/adminpack\": No such file or directory", true)]
    #[case::since_18("could not access file \"adminpack\": No such file or directory", true)]
    #[case::another("could not access file \"$libdir/adminpack2\": No such file or directory", false)]
    fn message_names_a_library_as_its_version_does(#[case] message: &str, #[case] named: bool) {
        assert_eq!(names_library(message, "$libdir/adminpack"), named);
    }

    #[test]
    fn template1_comes_first_and_template0_is_left_out() {
        let names = ["a", "postgres", "template0", "template1"].map(ToOwned::to_owned);
        assert_eq!(in_order(&names), ["template1", "a", "postgres"]);
    }

    #[rstest::rstest]
    #[case::lock("canceling statement due to lock timeout", "schema-locked")]
    #[case::dump("cache lookup failed", "schema-dump")]
    fn kinds_of_refusal_have_their_own_findings(#[case] error: &str, #[case] id: &str) {
        let found = not_dumped("shop", &refusal(error));
        assert_eq!(found.id, id);
        assert!(found.text.contains(&format!("\"shop\": {error} (at: LOCK TABLE t)")), "{found}");
    }
}
