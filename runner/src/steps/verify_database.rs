//! `VerifyDatabase`: the server itself says its version, and has every database and relation; it gets
//! what `pg_upgrade` does not carry.

use pgops_api::plan::{Step, UpgradeKind};

use super::world::say;
use super::{StepError, Upgrade, display_chain};
use crate::postgres::client::catalog::{count_relations, databases, version};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::settings::set_for_all;

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let new = upgrade.plan.to.clone();
    // The worker may be another one, on another node, since the server was started.
    let ip = upgrade.serve(&new).await?;
    let mut client = upgrade.superuser.connect(&ip, "postgres").await?;
    let (planned, live) = (upgrade.plan.to.pg_version()?, version(&client).await?);
    if live != planned {
        return Err(StepError::Unexpected(format!(
            "the server says version {live}, but PostgresVersion {} says {planned}: correct the catalog or the image",
            upgrade.plan.to.name
        )));
    }
    if upgrade.kind == UpgradeKind::Minor {
        say(Step::VerifyDatabase, format!("the server says {live}"));
        return Ok(());
    }
    let facts = upgrade.facts()?;
    let found = databases(&client).await?;
    if let Some(missing) = facts.databases.iter().find(|name| !found.contains(name)) {
        // It may have been dropped after the preflight looked; pg_upgrade itself compares the databases.
        tracing::warn!(step = %Step::VerifyDatabase, "database \"{missing}\" is not in the new cluster");
    }
    for (name, value) in &facts.settings_for_all {
        match set_for_all(&mut client, name, value).await {
            // The preflight has tried it. An upgrade that is done must not end here.
            Err(ServerError::Execute { source, .. }) if source.as_db_error().is_some() => {
                let why = display_chain(&source);
                tracing::warn!(step = %Step::VerifyDatabase, "ALTER ROLE ALL SET {name} is left behind: {why}");
            }
            set => set?,
        }
    }
    let mut count = 0;
    for database in found.iter().filter(|name| facts.databases.contains(name)) {
        count += count_relations(&upgrade.superuser.connect(&ip, database).await?).await?;
    }
    say(
        Step::VerifyDatabase,
        format!("the server says {live}; {} databases, {count} relations", found.len()),
    );
    Ok(())
}
