//! What the rehearsal finds out about each database: why it could not be dumped or restored, and what the restored one lacks or
//! has changed.

use pgops_api::plan::Step;
use tokio_postgres::Client;

use super::census::{BeforeDump, Comparison, Extent};
use super::definitions::Definitions;
use super::dump_findings::{not_dumped, too_many_tables};
use super::escalation::Escalation;
use super::extension_objects::ExtensionObjects;
use super::rehearsal_source::RehearsalSource;
use super::rehearsal_stages::{Attempt, Attempted, SourceDatabase};
use super::rehearsal_times::DatabaseTimes;
use super::restore_findings::{Causes, log};
use super::text_order;
use crate::postgres::answers::known::Answers;
use crate::postgres::client::catalog::count_tables;
use crate::postgres::client::error::ServerError;
use crate::postgres::extension::members::{RejectedExtensions, extensions_of_rejected};
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::privileges::snapshot::ServerPrivileges;
use crate::postgres::program::restore_errors::RestoreErrors;
use crate::postgres::server::call_counts::CallCounts;
use crate::postgres::server::restored_databases::{CreatedDatabases, KeptDatabases, drop_databases};
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{CensusBaseline, Finding, StepError, UpgradeContext, warn_step};

/// The databases that have been compared so far.
pub struct Comparing<'a> {
    upgrade: &'a UpgradeContext,
    source: &'a RehearsalSource<'a>,
    scratch: &'a Scratch,
    escalation: Escalation,
    counts: CallCounts,
    definitions: Definitions,
    comparison: Comparison,
    causes: Causes,
    /// What the scratch server has answered about rules of text and time.
    answers: Answers,
    dependents: Vec<text_order::Dependent>,
    findings: Vec<Finding>,
    databases: Vec<DatabaseTimes>,
    tables: u64,
    kept: KeptDatabases,
}

/// What was found out about all databases.
pub struct Compared {
    pub findings: Vec<Finding>,
    /// Objects of extensions that the target rejects.
    pub of_extensions: ExtensionObjects,
    /// The times of those that were restored.
    pub databases: Vec<DatabaseTimes>,
    pub tables: u64,
    pub extent: Extent,
    pub baseline: Baseline,
    /// Whether `pg_upgrade` must not carry statistics.
    pub without_statistics: bool,
    pub census: CensusBaseline,
}

impl<'a> Comparing<'a> {
    /// None has been compared yet.
    pub fn new(
        upgrade: &'a UpgradeContext,
        source: &'a RehearsalSource<'a>,
        scratch: &'a Scratch,
        escalation: Escalation,
        counts: CallCounts,
        definitions: Definitions,
        comparison: Comparison,
    ) -> Self {
        Self {
            upgrade,
            source,
            scratch,
            escalation,
            counts,
            definitions,
            comparison,
            causes: Causes::default(),
            answers: Answers::default(),
            dependents: Vec::new(),
            findings: Vec::new(),
            databases: Vec::new(),
            tables: 0,
            kept: KeptDatabases::new(scratch.free_bytes()),
        }
    }

    /// Adds a database, and drops what restores have created if it takes too much room.
    pub async fn add(&mut self, attempted: Attempted) -> Result<(), StepError> {
        let Attempted { source, attempt, times, created } = attempted;
        let SourceDatabase { name, serving, rights, before } = source;
        self.definitions.read_source(&serving, self.scratch, &name).await;
        self.escalation.add_source(&name, rights);
        match attempt {
            Attempt::RunsCode => {}
            Attempt::TooManyLocks => self.findings.push(too_many_tables(&name)),
            Attempt::NotDumped(refusal) => self.findings.push(not_dumped(&name, &refusal)),
            Attempt::NotRestored(errors) => self.add_errors(&serving, &name, errors).await,
            Attempt::Restored(rights) => {
                self.databases.push(times);
                self.compare(&name, &serving, &rights, before).await?;
            }
        }
        if let Err(error) = self.make_room(created).await {
            warn_step(Step::Preflight, &error);
        }
        Ok(())
    }

    /// Compares a restored database with the serving one, which `serving` is connected to.
    async fn compare(
        &mut self,
        name: &str,
        serving: &Client,
        rights: &ServerPrivileges,
        before: Option<Result<BeforeDump, ServerError>>,
    ) -> Result<(), StepError> {
        let client = self.scratch.connect(name).await?;
        self.escalation.check_restored(&client, rights, serving, name).await?;
        if self.counts.were_reset(&client).await? {
            self.findings.push(counts_were_reset(name));
        }
        self.definitions.read_restored(&client, self.scratch, name).await;
        if let Some(before) = before {
            self.comparison.check_restored(serving, &client, name, before).await;
        }
        self.tables += count_tables(&client).await?;
        if let Some(rules) = self.source.rules {
            let (upgrade, answers) = (self.upgrade, &mut self.answers);
            let found =
                text_order::dependents_of_restored(upgrade, serving, &client, rules, answers, name).await;
            match found {
                Ok(found) => self.dependents.extend(found),
                // They are looked for again after the outage.
                Err(error) => warn_step(Step::Preflight, &error),
            }
        }
        Ok(())
    }

    /// Adds the errors of the restore of a database, which `serving` is connected to on the serving server.
    async fn add_errors(&mut self, serving: &Client, database: &str, mut errors: RestoreErrors) {
        errors.errors.retain(|error| !self.source.lacks_library_of(&error.error.message));
        let objects: Vec<_> = errors.errors.iter().filter_map(|error| error.source).collect();
        // The errors are reported without them too.
        let extensions = extensions_of_rejected(serving, &objects).await.unwrap_or_else(|error| {
            warn_step(Step::Preflight, &error);
            RejectedExtensions::default()
        });
        log(&self.causes.add(database, errors, &extensions));
    }

    /// Makes room for the next databases in the worker's file system.
    async fn make_room(&mut self, created: CreatedDatabases) -> Result<(), ServerError> {
        let dropped = self.kept.add(created);
        if dropped.is_empty() {
            return Ok(());
        }
        drop_databases(&self.scratch.connect("template1").await?, &dropped).await
    }

    /// What was found out, in the order of the databases.
    pub fn finish(self) -> Compared {
        let mut findings = self.findings;
        let (causes, of_extensions) = self.causes.finish();
        findings.extend(causes);
        findings.extend(text_order::note(&self.dependents, self.upgrade.plan.reindex));
        findings.extend(self.definitions.finish());
        let rights = self.escalation.finish();
        findings.extend(rights.findings);
        let (lost, extent, census) = self.comparison.finish();
        findings.extend(lost);
        Compared {
            findings,
            of_extensions,
            databases: self.databases,
            tables: self.tables,
            extent,
            baseline: rights.baseline,
            without_statistics: rights.without_statistics,
            census,
        }
    }
}

/// What the restore has called is unknown then.
fn counts_were_reset(database: &str) -> Finding {
    let text = format!(
        "the scratch server has lost its counts of the functions that restoring \"{database}\" calls: it has crashed, or a \
         definition runs code as superuser that has reset them; find and drop what uses it (code-in-definitions names \
         candidates)"
    );
    Finding::new("restore-code", text)
}
