//! The rehearsal: a scratch server of the target version is created in the worker's own file system, and the schema of
//! every database is restored into it. While one database is compared, the next one is restored, and the one after it dumped.
//! This finds, while the database serves, what would fail `pg_upgrade` after the old server was stopped, and after everything
//! that its `--check` covers.

use std::path::Path;
use std::time::{Duration, Instant};

use pgops_api::layout::REHEARSAL_DIR;

use super::census::Comparison;
use super::configuration::Checked;
use super::createrole;
use super::definitions::Definitions;
use super::dump_findings::{ROLES, not_dumped};
use super::escalation::Escalation;
use super::extension_objects::ExtensionObjects;
use super::extension_updates;
use super::jit;
use super::pipeline::pipeline;
use super::rehearsal_comparing::{Compared, Comparing};
use super::rehearsal_source::RehearsalSource;
use super::rehearsal_stages::{Restoring, Stages};
use super::rehearsal_times::RehearsalTimes;
use super::restore_findings::{Causes, log};
use super::{image_features, language_modules, pgcrypto, private_servers, server_build};
use crate::postgres::extension::members::RejectedExtensions;
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::schema_rehearsal::{GlobalsResult, SchemaSource, globals};
use crate::postgres::server::call_counts::CallCounts;
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{CensusBaseline, Finding, StepError, UpgradeContext};

/// The result of the rehearsal.
#[derive(Default)]
pub struct Rehearsed {
    pub findings: Vec<Finding>,
    /// Objects of extensions that the target rejects.
    pub of_extensions: ExtensionObjects,
    /// The success in one line and how long its parts took, if all of it succeeded.
    pub success: Option<(String, RehearsalTimes)>,
    /// The rights that the rehearsal has compared, for the comparison after `pg_upgrade`; none if the roles failed.
    pub baseline: Option<Baseline>,
    /// Whether `pg_upgrade` must not carry statistics.
    pub without_statistics: bool,
    /// What the databases hold, for the comparison after `pg_upgrade`; none if it was not compared.
    pub census: Option<CensusBaseline>,
}

/// Rehearses, and leaves nothing running. What the scratch server has written ends with the worker's pod: to remove the files of
/// hundreds of databases takes minutes. The dumps are made where the serving database can be reached, and restored where
/// nothing can.
pub async fn rehearse(
    upgrade: &UpgradeContext,
    source: &RehearsalSource<'_>,
    settings: &mut Checked,
) -> Result<Rehearsed, StepError> {
    let programs = upgrade.rehearsal_programs().await?;
    // Code that an earlier attempt has restored could impersonate the server.
    programs.agent.kill_all().await?;
    let directory = UpgradeContext::scratch().join("rehearsal");
    let shape = &source.inventory.shape;
    let scratch = Scratch::init(&programs, &directory, Path::new(REHEARSAL_DIR), shape).await?;
    let mut result = perform(upgrade, source, &scratch, settings).await;
    if let Err(error) = &result
        && error.lost_container().is_none()
    {
        // The end of the container, for lack of memory perhaps, is the cause, whichever of the stages has failed first.
        programs.agent.check_session().await?;
    }
    let began = Instant::now();
    scratch.stop().await?;
    if let Ok(Rehearsed { success: Some((_, times)), .. }) = &mut result {
        times.server_stop = began.elapsed();
    }
    // Whatever else the restored code has started.
    programs.agent.kill_all().await?;
    let mut rehearsed = result?;
    rehearsed.findings.retain(|finding| !source.lacks_library_of(&finding.text));
    if rehearsed.success.is_some() {
        let notes = extension_updates::notes(upgrade, source, &scratch, &settings.servers).await?;
        rehearsed.findings.extend(notes);
    }
    Ok(rehearsed)
}

async fn perform(
    upgrade: &UpgradeContext,
    source: &RehearsalSource<'_>,
    scratch: &Scratch,
    settings: &mut Checked,
) -> Result<Rehearsed, StepError> {
    let began = Instant::now();
    let inventory = source.inventory;
    let mut findings = Vec::new();
    let (server_start, of_servers) =
        private_servers::start(upgrade, scratch, inventory, &mut settings.servers).await?;
    findings.extend(of_servers);
    findings.extend(settings.check_sessions(scratch, &inventory.settings_for_all).await?);
    findings.extend(jit::check(upgrade, source.ip, scratch).await?);
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
    let escalation = Escalation::begin(&serving, &new_cluster, upgrade.old_major, upgrade.new_major).await?;
    let definitions = Definitions::begin(&serving, &new_cluster, &programs, upgrade.new_major).await;
    findings.extend(pgcrypto::note(upgrade, source.ip, inventory, &new_cluster).await);
    findings.extend(server_build::finding(&serving, &new_cluster, upgrade.kind).await?);
    findings.extend(image_features::findings(upgrade, source.ip, inventory, &new_cluster).await?);
    findings.extend(language_modules::note(&inventory.databases, source.modules, &new_cluster).await);
    let counts = CallCounts::begin(&new_cluster, upgrade.new_major).await?;
    // It is dropped and created again.
    drop(new_cluster);
    // Without its roles no database can be restored.
    let roles_began = Instant::now();
    match globals(&schema, scratch).await? {
        GlobalsResult::Passed => {}
        GlobalsResult::NotDumped(refusal) => {
            findings.push(not_dumped(ROLES, &refusal));
            findings.extend(definitions.finish());
            return Ok(Rehearsed { findings, ..Rehearsed::default() });
        }
        GlobalsResult::NotRestored(errors) => {
            let mut causes = Causes::default();
            log(&causes.add(ROLES, errors, &RejectedExtensions::default()));
            findings.extend(causes.finish().0);
            findings.extend(definitions.finish());
            return Ok(Rehearsed { findings, ..Rehearsed::default() });
        }
    }
    let globals = roles_began.elapsed();
    let (grants, not_granted) = createrole::rehearse(upgrade, scratch).await?;
    findings.extend(not_granted);
    let comparison =
        Comparison::begin(&serving, &scratch.connect("postgres").await?, upgrade.old_major).await;
    let stages = Stages {
        upgrade,
        ip: source.ip,
        schema: &schema,
        scratch,
        census: comparison.census().cloned(),
        digest: escalation.digest(),
    };
    let names = in_order(&inventory.databases);
    let mut restoring = Restoring::default();
    let mut comparing = Comparing::new(upgrade, source, scratch, escalation, counts, definitions, comparison);
    let all = pipeline(
        names.iter().enumerate(),
        async |(number, name)| stages.dump(number, name).await,
        async |dumped| stages.restore(dumped, &mut restoring).await,
        async |attempted| comparing.add(attempted).await,
    );
    Box::pin(all).await?;
    let compared = comparing.finish();
    let success = (compared.databases.len() == names.len()).then(|| {
        let line = success(&compared, &upgrade.plan.to.version, began.elapsed());
        let server_stop = Duration::ZERO;
        let databases = compared.databases.clone();
        (line, RehearsalTimes { server_start, server_stop, globals, grants, databases })
    });
    findings.extend(compared.findings);
    Ok(Rehearsed {
        findings,
        of_extensions: compared.of_extensions,
        success,
        baseline: Some(compared.baseline),
        without_statistics: compared.without_statistics,
        census: Some(compared.census),
    })
}

fn success(compared: &Compared, version: &str, took: Duration) -> String {
    let Compared { databases, tables, extent, .. } = compared;
    format!(
        "schema of {} databases restored into a scratch {version} server: {tables} tables; {} objects and details of {} kinds \
         compared; {:.1} s",
        databases.len(),
        extent.rows,
        extent.kinds,
        took.as_secs_f64()
    )
}

/// Those two come first that are dropped and created again: the sessions of all later restores begin in them.
fn in_order(databases: &[String]) -> Vec<&str> {
    let mut names: Vec<_> =
        databases.iter().map(String::as_str).filter(|name| *name != "template0").collect();
    names.sort_by_key(|name| match *name {
        "template1" => 0,
        "postgres" => 1,
        _ => 2,
    });
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_that_exist_already_come_first_and_template0_is_left_out() {
        let names = ["a", "postgres", "shop", "template0", "template1"].map(ToOwned::to_owned);
        assert_eq!(in_order(&names), ["template1", "postgres", "a", "shop"]);
    }
}
