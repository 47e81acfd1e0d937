//! The preflight of a minor upgrade: the server will be another build of the same version on the same data. What its image
//! lacks, or what it refuses of the settings, would show itself only after the old server was stopped, or even later.
//!
//! There is neither a rehearsal nor a volume in the worker of a minor upgrade: nothing is restored, and the settings are read from
//! the serving server.

mod libraries;
mod locales;
mod references;
mod settings;
mod text;

use std::path::Path;

use pgops_api::layout::PROGRAMS_DIR;
use pgops_api::plan::Step;
use tokio_postgres::Client;

use super::{duties, extensions, new_cluster};
use crate::postgres::client::inventory::{Inventory, inventory};
use crate::postgres::client::libraries::output_plugins;
use crate::postgres::collation::versions::CollationVersion;
use crate::postgres::program::programs::Programs;
use crate::postgres::server_settings::ServerSettings;
use crate::upgrade::{Finding, StepError, UpgradeContext, log_step, shortened};

/// Examines the image and the serving server at `ip`, to which `client` is connected, and whose `collations` are known if
/// nothing has failed.
pub async fn run(
    upgrade: &mut UpgradeContext,
    ip: &str,
    client: &Client,
    collations: Option<&[CollationVersion]>,
) -> Result<(), StepError> {
    let target = upgrade.plan.to.pg_version()?;
    let programs = upgrade.new_programs().await?;
    programs.verify(&["postgres"], target).await?;
    let mut lines = vec![format!("image runs PostgreSQL {target}")];
    let inventory = inventory(&upgrade.superuser, ip).await?;
    let findings = examine(upgrade, ip, client, &programs, &inventory, collations).await?;
    if findings.iter().any(Finding::blocks) {
        return Err(StepError::Findings(findings));
    }
    lines.extend(findings.iter().map(ToString::to_string));
    for line in &lines {
        log_step(Step::Preflight, line);
    }
    Ok(upgrade.store_minor_lines(lines).await?)
}

/// Runs every check, so that all findings are reported at once.
async fn examine(
    upgrade: &UpgradeContext,
    ip: &str,
    client: &Client,
    programs: &Programs,
    inventory: &Inventory,
    collations: Option<&[CollationVersion]>,
) -> Result<Vec<Finding>, StepError> {
    let mut findings = Vec::new();
    findings.extend(not_examined(&inventory.unreachable));
    findings.extend(libraries::of_functions(client, programs, inventory).await?);
    findings.extend(libraries::of_sessions(client, programs, inventory).await?);
    let plugins = output_plugins(client).await?;
    findings.extend(libraries::of_plugins(client, programs, &plugins).await?);
    let offer = programs.agent.offer(&programs.installation).await?;
    findings.extend(extensions::notes(&inventory.extensions, &offer, &upgrade.extensions));
    match new_cluster::create(programs, &inventory.shape, Path::new(PROGRAMS_DIR)).await? {
        Err(finding) => findings.push(finding),
        Ok(cluster) => {
            findings.extend(settings::findings(upgrade, client, &cluster, inventory, &plugins).await?);
            // Without any setting of users: what they have set was only read.
            cluster.start(upgrade.new_major, 0, &ServerSettings::default()).await?;
            let scratch = cluster.connect("postgres").await?;
            findings.extend(locales::findings(client, &scratch, collations).await?);
            findings.extend(references::findings(upgrade, ip, client, &cluster, inventory).await?);
            findings.extend(text::notes(upgrade, ip, &scratch, collations, &inventory.databases).await);
            cluster.remove().await?;
        }
    }
    findings.extend(duties::notes(upgrade, ip, &inventory.databases).await?);
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
