//! `VerifyDatabase`: the server itself reports its version, and has every database and relation, and its
//! catalogs hold what the old ones held; it gets the settings
//! that `pg_upgrade` does not carry.

mod census;

use pgops_api::plan::{Step, UpgradeKind};

use crate::postgres::client::catalog::{count_relations, databases};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::settings::set_for_all;
use crate::upgrade::{StepError, Until, UpgradeContext, ensure_version, log_step, warn_step};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let new = upgrade.plan.to.clone();
    if upgrade.plan.has_standbys() {
        return verify_members(upgrade).await;
    }
    // This worker may be another one, on another node, than the one that started the server.
    let ip = upgrade.start_and_wait_ready(&new).await?;
    let mut client = upgrade.superuser.connect_server(&ip).await?;
    let version = ensure_version(&client, &new).await?;
    if upgrade.kind == UpgradeKind::Minor {
        log_step(Step::VerifyDatabase, format!("the server reports version {version}"));
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
            // The preflight has tried it. A completed upgrade must not fail here.
            Err(ServerError::Execute { source, .. }) if source.code().is_some() => {
                tracing::warn!(step = %Step::VerifyDatabase, "ALTER ROLE ALL SET {name} is not carried over: {source}");
            }
            set => set?,
        }
    }
    let mut count = 0;
    for database in found.iter().filter(|name| facts.databases.contains(name)) {
        count += count_relations(&upgrade.superuser.connect(&ip, database).await?).await?;
    }
    log_step(
        Step::VerifyDatabase,
        format!("the server reports version {version}; {} databases, {count} relations", found.len()),
    );
    if let Err(error) = census::check(upgrade, &ip).await {
        warn_step(Step::VerifyDatabase, &error);
    }
    Ok(())
}

/// Every server reports the version itself: one that is behind would become the primary in a failover.
async fn verify_members(upgrade: &UpgradeContext) -> Result<(), StepError> {
    let new = &upgrade.plan.to;
    // An earlier worker may have found them ready long ago.
    upgrade.roll_out(Step::VerifyDatabase, new, Until::Done).await?;
    for (pod, ip) in upgrade.member_addresses().await? {
        let client = upgrade.superuser.connect_server(&ip).await?;
        let version = ensure_version(&client, new).await?;
        log_step(Step::VerifyDatabase, format!("the server in pod {pod} reports version {version}"));
    }
    Ok(())
}
