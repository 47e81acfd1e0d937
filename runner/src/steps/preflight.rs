//! `Preflight`: what would fail later fails here, while the database serves and is not paused.

mod census;
mod changed_meaning;
mod checks;
mod configuration;
mod createrole;
mod definitions;
mod duties;
mod escalation;
mod estimate;
mod extension_objects;
mod extension_rules;
mod extensions;
mod image;
mod meaning;
mod minor;
mod new_cluster;
mod not_carried_over;
mod objects;
mod old_server;
mod preload_libraries;
mod private_servers;
mod references;
mod rehearsal_memory;
mod replication_slots;
mod restore_findings;
mod schema_rehearsal;
mod stored_expressions;
mod stored_libraries;
mod table;
mod table_statistics;
mod text_order;
mod volume;

use std::time::Duration;

use pgops_api::names;
use pgops_api::plan::{Scope, Step, TransferMode, UpgradeKind};

use crate::cluster::PodState;
use crate::postgres::client::extensions::default_versions;
use crate::postgres::client::inventory::{Inventory, inventory};
use crate::postgres::collation::versions::CollationVersion;
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::server_settings::ServerSettings;
use crate::postgres::volume::capacity::write_rate;
use crate::upgrade::space::Space;
use crate::upgrade::{
    CensusBaseline, Facts, Finding, StepError, UpgradeContext, ensure_version, log_step, shown_lines,
    store_baseline, store_statistics,
};
use estimate::Estimate;
use schema_rehearsal::Source;

/// The longest that is kept of what users are told, in bytes: on the volume and in the report, a `ConfigMap` of at most 1 MiB
/// with other parts.
const MAX_KEPT: usize = 192 << 10;

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    objects::check(upgrade).await?;
    let PodState::Ready { ip } = upgrade.cluster.pod_state(&upgrade.plan.from.image).await? else {
        return Err(StepError::DatabaseNotReady {
            pod: names::pod(&upgrade.plan.database, 0),
            image: upgrade.plan.from.image.clone(),
            namespace: upgrade.plan.namespace.clone(),
        });
    };
    let client = upgrade.superuser.connect_server(&ip).await?;
    ensure_version(&client, &upgrade.plan.from).await?;
    let collations = text_order::store_collations(upgrade, &ip).await;
    match upgrade.kind {
        UpgradeKind::Minor => minor::run(upgrade, &ip, &client, collations.as_deref()).await,
        UpgradeKind::Major => run_major(upgrade, &ip, collations.as_deref()).await,
    }
}

async fn run_major(
    upgrade: &mut UpgradeContext,
    ip: &str,
    collations: Option<&[CollationVersion]>,
) -> Result<(), StepError> {
    upgrade.work_dir.create()?;
    let inventory = inventory(&upgrade.superuser, ip).await?;
    let examined = examine(upgrade, ip, &inventory, collations).await?;
    if examined.findings.iter().any(Finding::blocks) {
        // The message of the failure has only as many of them as a condition can hold.
        for finding in &examined.findings {
            log_step(Step::Preflight, finding);
        }
        return Err(StepError::Findings(examined.findings));
    }
    let lines = report_lines(upgrade, &inventory, &examined)?;
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
        lines,
    };
    match upgrade.plan.scope {
        Scope::Upgrade => {
            facts.store(&upgrade.work_dir)?;
            if let Some(baseline) = &examined.baseline {
                store_baseline(baseline, &upgrade.work_dir)?;
            }
            if let Some(census) = &examined.census {
                census.store(&upgrade.work_dir)?;
            }
            let statistics = table_statistics::read(upgrade, ip, &facts.databases).await;
            store_statistics(&statistics, &upgrade.work_dir)?;
        }
        Scope::DryRun => {}
    }
    upgrade.facts = Some(facts);
    Ok(())
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
    /// The rehearsal's success in one line and how long it took, if all of it succeeded.
    rehearsal: Option<(String, Duration)>,
    /// The rights before the upgrade.
    baseline: Option<Baseline>,
    /// What the databases hold.
    census: Option<CensusBaseline>,
}

/// Runs every check, so that all findings are reported at once.
async fn examine(
    upgrade: &UpgradeContext,
    ip: &str,
    inventory: &Inventory,
    collations: Option<&[CollationVersion]>,
) -> Result<Examined, StepError> {
    let programs = upgrade.new_programs().await?;
    let known = programs.program("postgres").arg("--describe-config").output().await?;

    let (mut findings, mut of_extensions) = checks::findings(upgrade, ip, &inventory.databases).await?;
    findings.extend(checks::unreachable(&inventory.unreachable));
    findings.extend(stored_expressions::findings(&upgrade.superuser, ip, &inventory.databases).await?);
    let missing = image::missing_libraries(inventory, &programs).await?;
    findings.extend(image::findings(inventory, &known, &missing));
    findings.extend(stored_libraries::findings(inventory, &upgrade.old_programs().await?, &programs).await?);
    let offer = programs.agent.offer(&programs.installation).await?;
    findings.extend(extensions::notes(&inventory.extensions, &offer, &upgrade.extensions));
    let serving = default_versions(&upgrade.superuser.connect_server(ip).await?).await?;
    let offers = extension_rules::Offers { serving: &serving, target: &offer };
    let (known_extensions, entry) = (&upgrade.extensions, &upgrade.plan.to.name);
    findings.extend(extension_rules::findings(&inventory.extensions, &offers, known_extensions, entry));
    findings.extend(createrole::note(upgrade, ip).await?);
    findings.extend(duties::notes(upgrade, ip, &inventory.databases).await?);
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
    let source = Source { ip, inventory, collations, drop_column_option, missing_libraries: &missing };
    let mut rehearsal = None;
    let mut baseline = None;
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
            census = rehearsed.census;
        }
    }
    findings.extend(of_extensions.findings(&upgrade.superuser, ip, &upgrade.extensions).await?);
    Ok(Examined { findings, space, mode, drop_column_option, servers, rehearsal, baseline, census })
}

/// What users are told: the size of the database, the mode, the estimated outage, and the notes.
fn report_lines(
    upgrade: &UpgradeContext,
    inventory: &Inventory,
    examined: &Examined,
) -> Result<Vec<String>, StepError> {
    let mut lines = vec![
        format!("{} databases with {} relations", inventory.databases.len(), inventory.relations),
        examined.space.summary(examined.mode),
    ];
    if let Some((line, schema)) = &examined.rehearsal {
        // The measurement writes to the volume of a serving database: it is made only if its result is used.
        let (copied, rate) = if examined.mode.copies() {
            (examined.space.used, write_rate(&upgrade.work_dir)?)
        } else {
            (0, 0)
        };
        lines.extend([line.clone(), Estimate::new(*schema, copied, rate).to_string()]);
    }
    lines.extend(examined.findings.iter().map(ToString::to_string));
    Ok(lines)
}
