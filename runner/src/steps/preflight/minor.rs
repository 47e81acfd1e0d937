//! The preflight of a minor upgrade: the server will be another build of the same version on the same data. What its image
//! lacks, or what it refuses of the settings, would show itself only after the old server was stopped, or even later.
//!
//! There is neither a rehearsal nor a volume in the worker of a minor upgrade: nothing is restored, and the settings are read from
//! the serving server.

mod libraries;
mod loading;
mod locales;
mod references;
mod settings;
mod text;

use std::path::Path;

use pgops_api::layout::PROGRAMS_DIR;
use pgops_api::plan::Step;
use tokio_postgres::Client;

use super::reading::Readings;
use super::{
    checks, duties, extension_indexes, extension_results, extensions, image_features, jit, language_modules,
    new_cluster, outside_files, pgcrypto, reading, server_build, settings_in_files, text_order,
};
use crate::postgres::client::file_settings::FileSettings;
use crate::postgres::client::inventory::Inventory;
use crate::postgres::client::libraries::output_plugins;
use crate::postgres::collation::rules::RulesBefore;
use crate::postgres::program::programs::Programs;
use crate::postgres::server_settings::ServerSettings;
use crate::upgrade::{Finding, StepError, UpgradeContext, log_step, shortened};

/// Examines the image and the serving server at `ip`, to which `client` is connected.
pub async fn run(upgrade: &mut UpgradeContext, ip: &str, client: &Client) -> Result<(), StepError> {
    let settings = settings_in_files::read(upgrade, ip).await?;
    let target = upgrade.plan.to.pg_version()?;
    let programs = upgrade.new_programs().await?;
    programs.verify(&["postgres"], target).await?;
    let mut lines = vec![format!("image runs PostgreSQL {target}")];
    let (inventory, mut readings) = reading::read(upgrade, ip).await?;
    let rules = std::mem::take(&mut readings.rules);
    let rules = text_order::store_rules(upgrade, ip, &inventory.databases, rules).await;
    let serving = Serving { ip, client, inventory: &inventory, rules: rules.as_ref(), settings: &settings };
    let findings = examine(upgrade, &serving, &programs, readings).await?;
    if findings.iter().any(Finding::blocks) {
        return Err(StepError::Findings(findings));
    }
    lines.extend(findings.iter().map(ToString::to_string));
    for line in &lines {
        log_step(Step::Preflight, line);
    }
    Ok(upgrade.store_minor_lines(lines).await?)
}

/// The serving server.
struct Serving<'a> {
    ip: &'a str,
    /// Connected to it.
    client: &'a Client,
    inventory: &'a Inventory,
    /// Known if nothing has failed.
    rules: Option<&'a RulesBefore>,
    settings: &'a FileSettings,
}

/// Runs every check, so that all findings are reported at once. `readings` has what was read of the databases.
async fn examine(
    upgrade: &UpgradeContext,
    serving: &Serving<'_>,
    programs: &Programs,
    readings: Readings,
) -> Result<Vec<Finding>, StepError> {
    let Serving { ip, client, inventory, rules, settings } = *serving;
    let databases = &inventory.databases;
    let mut findings = Vec::new();
    findings.extend(not_examined(&inventory.unreachable));
    findings.extend(checks::findings(upgrade, ip, databases, readings.objects).await?.0);
    findings.extend(libraries::of_functions(client, programs, inventory).await?);
    findings.extend(libraries::of_sessions(client, programs, inventory).await?);
    let plugins = output_plugins(client).await?;
    findings.extend(libraries::of_plugins(client, programs, &plugins).await?);
    let offer = programs.agent.offer(&programs.installation).await?;
    findings.extend(extensions::notes(&inventory.extensions, &offer, &upgrade.extensions));
    findings.extend(extension_indexes::notes(upgrade.kind, databases, &readings.indexes, &offer));
    findings.extend(extension_results::notes(databases, &readings.results, &offer));
    match new_cluster::create(programs, &inventory.shape, Path::new(PROGRAMS_DIR)).await? {
        Err(finding) => findings.push(finding),
        Ok(cluster) => {
            let mut checked =
                settings::check(upgrade, client, &cluster, inventory, &plugins, settings).await?;
            findings.append(&mut checked.findings);
            // Without any setting of users: what they have set was only read.
            cluster.start(upgrade.new_major, 0, &ServerSettings::default()).await?;
            let scratch = cluster.connect("postgres").await?;
            let collations = rules.map(|rules| rules.collations.as_slice());
            findings.extend(locales::findings(client, &scratch, collations).await?);
            findings.extend(references::findings(upgrade, ip, client, &cluster, inventory).await?);
            findings.extend(pgcrypto::note(upgrade, ip, inventory, &scratch).await);
            findings.extend(server_build::finding(client, &scratch, upgrade.kind).await?);
            findings.extend(image_features::findings(upgrade, ip, inventory, &scratch).await?);
            findings.extend(language_modules::note(databases, &readings.modules, &scratch).await);
            findings.extend(text::notes(upgrade, ip, (&cluster, &scratch), rules, databases).await);
            findings.extend(jit::check(upgrade, ip, &cluster).await?);
            // Last, as a library may end the server.
            findings.extend(
                loading::findings(upgrade, ip, &cluster, inventory, &checked, &plugins, &offer).await?,
            );
            cluster.remove().await?;
        }
    }
    findings.extend(duties::notes(upgrade, ip, databases, &readings.duties).await?);
    findings.extend(outside_files::findings(upgrade, ip, databases, readings.files, programs).await?);
    Ok(findings)
}

/// Databases that reject the superuser's connection. They are opened after a minor upgrade as they were before.
fn not_examined(databases: &[(String, String)]) -> Option<Finding> {
    let named: Vec<_> = databases.iter().map(|(name, why)| format!("\"{name}\": {why}")).collect();
    (!named.is_empty()).then(|| {
        let text = "databases that reject the superuser's connection are not examined";
        Finding::note("unreachable-database", format!("{text}: {}", shortened(&named)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreachable_database_does_not_block_a_minor_upgrade() {
        assert_eq!(not_examined(&[]), None);
        let found = not_examined(&[("shop".into(), "FATAL: no entry".into())]).unwrap();
        assert!(!found.blocks() && found.text.ends_with("\"shop\": FATAL: no entry"), "{found}");
    }
}
