//! `Preflight`: what would fail later fails here, while the database serves and is not paused.

mod archive_library;
mod census;
mod certificates;
mod changed_meaning;
mod check;
mod checks;
mod configuration;
mod createrole;
mod definitions;
mod dump_findings;
mod duties;
mod escalation;
mod estimate;
mod extension_indexes;
mod extension_objects;
mod extension_results;
mod extension_rules;
mod extension_updates;
mod extensions;
mod identity;
mod image;
mod image_features;
mod jit;
mod language_modules;
mod meaning;
mod merged_settings;
mod minor;
mod new_cluster;
mod not_carried_over;
mod objects;
mod old_server;
mod outside_files;
mod pgcrypto;
mod pipeline;
mod preload_libraries;
mod private_servers;
mod reading;
mod references;
mod rehearsal_comparing;
mod rehearsal_memory;
mod rehearsal_source;
mod rehearsal_stages;
mod rehearsal_times;
mod rejected_constants;
mod replication_slots;
mod restore_findings;
mod restored_differently;
mod schema_rehearsal;
mod server_build;
mod settings_in_files;
mod standbys;
mod stored_columns;
mod stored_expressions;
mod stored_libraries;
mod stored_queries;
mod table;
mod table_statistics;
mod text_order;
mod volume;

use std::time::Duration;

use pgops_api::plan::{Scope, Step, TransferMode, UpgradeKind};

use crate::postgres::client::extensions::default_versions;
use crate::postgres::client::inventory::Inventory;
use crate::postgres::collation::rules::RulesBefore;
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::server_settings::ServerSettings;
use crate::postgres::table_statistics::DatabaseStatistics;
use crate::postgres::volume::capacity::write_speed;
use crate::postgres::volume::settings_files::SettingsFiles;
use crate::upgrade::space::Space;
use crate::upgrade::{
    CensusBaseline, Facts, Finding, StepError, UpgradeContext, ensure_version, log_step, shown_lines,
    store_baseline, store_statistics,
};
use estimate::{Estimate, Measured};
use reading::Readings;
use rehearsal_source::RehearsalSource;
use rehearsal_times::RehearsalTimes;

/// How long to wait for a pod that is just being restarted.
const RESTART_WAIT: Duration = Duration::from_mins(1);
/// The longest that is kept of what users are told, in bytes: on the volume and in the report, a `ConfigMap` of at most 1 MiB
/// with other parts.
const MAX_KEPT: usize = 192 << 10;

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    objects::check(upgrade).await?;
    certificates::check(upgrade).await?;
    standbys::check(upgrade).await?;
    let ip = upgrade.wait_serving_pod(&upgrade.plan.from, RESTART_WAIT).await?;
    let client = upgrade.superuser.connect_server(&ip).await?;
    ensure_version(&client, &upgrade.plan.from).await?;
    match upgrade.kind {
        UpgradeKind::Minor => minor::run(upgrade, &ip, &client).await,
        UpgradeKind::Major => run_major(upgrade, &ip).await,
    }
}

async fn run_major(upgrade: &mut UpgradeContext, ip: &str) -> Result<(), StepError> {
    upgrade.work_dir.create()?;
    // A server that is asked what its files hold would wait for ever for a FIFO.
    SettingsFiles::read(upgrade.volume.tree(), &volume::data_directory(upgrade)?)?;
    // The files that these include may be anywhere in its pod.
    settings_in_files::read(upgrade, ip).await?;
    let (inventory, mut readings) = reading::read(upgrade, ip).await?;
    let databases = &inventory.databases;
    let rules = text_order::store_rules(upgrade, ip, databases, std::mem::take(&mut readings.rules)).await;
    let statistics = table_statistics::largest(databases, std::mem::take(&mut readings.statistics));
    let examined = examine(upgrade, ip, &inventory, readings, rules.as_ref()).await?;
    if examined.findings.iter().any(Finding::blocks) {
        // The message of the failure has only as many of them as a condition can hold.
        for finding in &examined.findings {
            log_step(Step::Preflight, finding);
        }
        return Err(StepError::Findings(examined.findings));
    }
    let lines = report_lines(upgrade, &inventory, &examined).await?;
    for line in &lines {
        log_step(Step::Preflight, line);
    }
    let lines = shown_lines(&lines, MAX_KEPT).split('\n').map(ToOwned::to_owned).collect();
    let facts = Facts {
        shape: inventory.shape,
        mode: examined.mode,
        databases: inventory.databases,
        settings_for_all: inventory.settings_for_all,
        drop_column_option: examined.drop_column_option,
        relations: inventory.relations,
        largest_database: inventory.largest_database,
        bytes: examined.space.used,
        servers: examined.servers,
        without_statistics: examined.without_statistics,
        lines,
    };
    upgrade.facts = Some(facts);
    match upgrade.plan.scope {
        Scope::Upgrade => {
            store(upgrade, examined.baseline.as_ref(), examined.census.as_ref(), &statistics).await
        }
        Scope::DryRun => Ok(()),
    }
}

/// Stores what later steps need, also those of another runner.
async fn store(
    upgrade: &mut UpgradeContext,
    baseline: Option<&Baseline>,
    census: Option<&CensusBaseline>,
    statistics: &[DatabaseStatistics],
) -> Result<(), StepError> {
    let facts = upgrade.facts()?;
    facts.store(&upgrade.work_dir)?;
    if let Some(baseline) = baseline {
        store_baseline(baseline, &upgrade.work_dir)?;
    }
    if let Some(census) = census {
        census.store(&upgrade.work_dir)?;
    }
    store_statistics(statistics, &upgrade.work_dir)?;
    upgrade.keep_digests().await
}

/// What the checks of a major upgrade found out.
struct Examined {
    findings: Vec<Finding>,
    space: Space,
    /// How user data is transferred; meaningless if a finding says that it cannot be.
    mode: TransferMode,
    drop_column_option: bool,
    /// What the upgrade's own servers take over from the database's settings.
    servers: ServerSettings,
    /// The rehearsal's success in one line and how long its parts took, if all of it succeeded.
    rehearsal: Option<(String, RehearsalTimes)>,
    /// The rights before the upgrade.
    baseline: Option<Baseline>,
    /// Whether `pg_upgrade` must not carry statistics.
    without_statistics: bool,
    /// What the databases hold.
    census: Option<CensusBaseline>,
}

/// Runs every check, so that all findings are reported at once. `readings` has what was read of the databases.
async fn examine(
    upgrade: &UpgradeContext,
    ip: &str,
    inventory: &Inventory,
    readings: Readings,
    rules: Option<&RulesBefore>,
) -> Result<Examined, StepError> {
    let programs = upgrade.new_programs().await?;
    let known = programs.program("postgres").arg("--describe-config").output().await?;

    let databases = &inventory.databases;
    let (mut findings, mut of_extensions) =
        checks::findings(upgrade, ip, databases, readings.objects).await?;
    findings.extend(checks::unreachable(&inventory.unreachable));
    findings.extend(stored_expressions::finding(&readings.expressions.into_iter().flatten().collect()));
    let missing = image::missing_libraries(inventory, &programs).await?;
    findings.extend(image::findings(inventory, &known, &missing));
    findings.extend(stored_libraries::findings(inventory, &upgrade.old_programs().await?, &programs).await?);
    let offer = programs.agent.offer(&programs.installation).await?;
    findings.extend(extensions::notes(&inventory.extensions, &offer, &upgrade.extensions));
    findings.extend(extension_indexes::notes(upgrade.kind, databases, &readings.indexes, &offer));
    findings.extend(extension_results::notes(databases, &readings.results, &offer));
    let serving = default_versions(&upgrade.superuser.connect_server(ip).await?).await?;
    let offers = extension_rules::Offers { serving: &serving, target: &offer };
    let (known_extensions, entry) = (&upgrade.extensions, &upgrade.plan.to.name);
    findings.extend(extension_rules::findings(&inventory.extensions, &offers, known_extensions, entry));
    findings.extend(createrole::note(upgrade, ip).await?);
    findings.extend(duties::notes(upgrade, ip, databases, &readings.duties).await?);
    findings.extend(outside_files::findings(upgrade, ip, databases, readings.files, &programs).await?);
    findings.extend(volume::findings(upgrade)?);
    let space = upgrade.space(inventory)?;
    let mode = space.choose(upgrade.plan.transfer_mode).unwrap_or_else(|finding| {
        findings.push(finding);
        TransferMode::Link
    });
    if upgrade.plan.keep_old_data_seconds != Some(0) {
        findings.extend(space.retention_note(mode));
    }
    let (unknown, drop_column_option) = image::unknown_column_options(inventory, &programs).await?;
    findings.extend(unknown);
    let (modules, missing_libraries) = (&readings.modules, &missing);
    let source = RehearsalSource {
        ip,
        inventory,
        rules,
        modules,
        drop_column_option,
        offer: &offer,
        missing_libraries,
    };
    let mut rehearsal = None;
    let mut baseline = None;
    let mut without_statistics = false;
    let mut census = None;
    let mut servers = ServerSettings::default();
    match new_cluster::examine(upgrade, &programs, inventory).await? {
        Err(finding) => findings.push(finding),
        Ok(mut settings) => {
            let rehearsed = rehearsal_memory::rehearse(upgrade, &source, &mut settings).await?;
            findings.extend(settings.findings);
            servers = settings.servers;
            findings.extend(rehearsed.findings);
            of_extensions.append(rehearsed.of_extensions);
            rehearsal = rehearsed.success;
            baseline = rehearsed.baseline;
            without_statistics = rehearsed.without_statistics;
            census = rehearsed.census;
        }
    }
    findings.extend(of_extensions.findings(&upgrade.superuser, ip, &upgrade.extensions).await?);
    Ok(Examined {
        findings,
        space,
        mode,
        drop_column_option,
        servers,
        rehearsal,
        baseline,
        without_statistics,
        census,
    })
}

/// What users are told: the size of the database, the mode, the estimated outage, and the notes.
async fn report_lines(
    upgrade: &UpgradeContext,
    inventory: &Inventory,
    examined: &Examined,
) -> Result<Vec<String>, StepError> {
    let mut lines = vec![
        format!("{} databases with {} relations", inventory.databases.len(), inventory.relations),
        examined.space.summary(examined.mode),
    ];
    if let Some((line, rehearsal)) = &examined.rehearsal {
        let copies = examined.mode.copies();
        let measured = Measured {
            rehearsal,
            jobs: upgrade.agents.programs.processors().await?,
            files: inventory.files,
            copied: if copies { examined.space.used } else { 0 },
            volume: write_speed(&upgrade.work_dir, copies)?,
        };
        lines.extend([line.clone(), Estimate::new(&measured).to_string()]);
    }
    lines.extend(examined.findings.iter().map(ToString::to_string));
    Ok(lines)
}
