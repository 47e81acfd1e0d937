//! `Preflight`: what would fail later fails here, while the database serves and is not paused.

mod checks;
mod configuration;
mod estimate;
mod extensions;
mod image;
mod left_behind;
mod objects;
mod rehearsal;
mod rules_of_text;
mod space;
mod table;
mod volume;

use pgops_api::names;
use pgops_api::plan::{Scope, Step, TransferMode, UpgradeKind};

use super::world::say;
use super::{Facts, Finding, StepError, Upgrade};
use crate::cluster::PodState;
use crate::postgres::client::catalog::version;
use crate::postgres::client::inventory::inventory;
use crate::postgres::collation::versions::CollationVersion;
use crate::postgres::program::command::Program;
use estimate::Estimate;
pub(super) use volume::ensure_room;

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    objects::check(upgrade).await?;
    let PodState::Ready { ip } = upgrade.cluster.pod_state(&upgrade.plan.from.image).await? else {
        return Err(StepError::Unexpected(format!(
            "pod {} does not answer with image {}; see \"kubectl -n {} describe pod {}\"",
            names::pod(&upgrade.plan.database, 0),
            upgrade.plan.from.image,
            upgrade.plan.namespace,
            names::pod(&upgrade.plan.database, 0),
        )));
    };
    let client = upgrade.superuser.connect(&ip, "postgres").await?;
    let (planned, live) = (upgrade.plan.from.pg_version()?, version(&client).await?);
    if live != planned {
        return Err(StepError::Unexpected(format!(
            "the server says version {live}, but PostgresVersion {} says {planned}: correct the catalog or the image",
            upgrade.plan.from.name
        )));
    }
    let orders = super::rebuild_indexes::remember(upgrade, &ip).await;
    match upgrade.kind {
        UpgradeKind::Minor => {
            let target = upgrade.plan.to.pg_version()?;
            upgrade.new_installation()?.prove(&["postgres"], target)?;
            say(Step::Preflight, format!("image runs PostgreSQL {target}"));
            Ok(())
        }
        UpgradeKind::Major => major(upgrade, &ip, orders.as_deref()).await,
    }
}

async fn major(
    upgrade: &mut Upgrade,
    ip: &str,
    orders: Option<&[CollationVersion]>,
) -> Result<(), StepError> {
    let volume = upgrade.volume.clone();
    volume
        .make_work()
        .map_err(StepError::volume(format!("make the work directory {}", volume.work().display())))?;
    let inventory = inventory(&upgrade.superuser, ip).await?;
    let installation = upgrade.new_installation()?;
    let known = Program::new(installation.program("postgres")).arg("--describe-config").output().await?;

    let mut findings = checks::findings(upgrade, ip, &inventory.databases).await?;
    findings.extend(checks::unreachable(&inventory.unreachable));
    findings
        .extend(image::findings(&inventory, &known, |library| image::has_library(&installation, library)));
    let offer = extensions::Offer::read(&installation.sharedir)?;
    findings.extend(extensions::notes(&inventory.extensions, &offer));
    findings.extend(volume::findings(upgrade)?);
    let space = volume::space(upgrade, &inventory)?;
    let mode = space.choose(upgrade.plan.transfer_mode).unwrap_or_else(|finding| {
        findings.push(finding);
        TransferMode::Link
    });
    let (unknown, drop_column_option) = image::unknown_column_options(&inventory, &installation)?;
    findings.extend(unknown);
    let rehearsed = rehearsal::rehearse(upgrade, ip, &inventory, orders, drop_column_option).await?;
    findings.extend(rehearsed.findings);
    if findings.iter().any(Finding::blocks) {
        return Err(StepError::Findings(findings));
    }

    let mut said = vec![
        format!("{} databases with {} relations", inventory.databases.len(), inventory.relations),
        space.said(mode),
    ];
    if let Some((line, schema)) = rehearsed.success {
        // The try writes to the volume of a serving database: only where it tells something.
        let (copied, rate) = if mode.copies() {
            let rate = volume.write_rate().map_err(StepError::volume("measure how fast the volume is"))?;
            (space.used, rate)
        } else {
            (0, 0)
        };
        said.extend([line, Estimate::new(schema, copied, rate).to_string()]);
    }
    said.extend(findings.iter().map(ToString::to_string));
    for line in &said {
        say(Step::Preflight, line);
    }
    let facts = Facts {
        shape: inventory.shape,
        mode,
        databases: inventory.databases,
        settings_for_all: inventory.settings_for_all,
        drop_column_option,
        relations: inventory.relations,
        largest_database: inventory.largest_database,
        bytes: space.used,
        said,
    };
    match upgrade.plan.scope {
        Scope::Upgrade => {
            facts.store(volume.work()).map_err(StepError::volume("keep the preflight's facts"))?;
        }
        Scope::DryRun => {}
    }
    upgrade.facts = Some(facts);
    Ok(())
}
