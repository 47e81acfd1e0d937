//! The target's server must accept the settings that it will be started with: those of `user.conf`, and those of
//! `ALTER SYSTEM`. A setting that it no longer knows would keep it from starting, and so would a library that it cannot
//! load.

use std::collections::BTreeSet;
use std::path::Path;

use pgops_api::plan::UpgradeKind;
use pgops_api::{layout, names, serverconf};

use super::archive_library;
use super::image::is_on_volume;
use super::merged_settings::{MergedSettings, answer};
use super::preload_libraries::{SERVER_SETTING, SESSION_SETTINGS, libraries, missing, refused};
use super::private_servers::{Libraries, TAKEN_OVER, take_over};
use super::replication_slots::{carried, unstartable};
use super::stored_libraries;
use crate::postgres::client::inventory::Inventory;
use crate::postgres::client::settings::rejection_for_all;
use crate::postgres::server::scratch::Scratch;
use crate::postgres::server_settings::ServerSettings;
use crate::upgrade::{Finding, StepError, UpgradeContext};

/// From this version on a server that is only asked for its `shared_memory_size` loads its libraries.
const REPORTS_SHARED_MEMORY: u32 = 15;

/// What the settings have shown while no server ran.
#[derive(Default)]
pub struct Checked {
    pub findings: Vec<Finding>,
    /// What the upgrade's own servers take over.
    pub servers: ServerSettings,
    /// Settings that name libraries which a session can load, each with those that exist.
    session_libraries: Vec<(&'static str, Vec<String>)>,
}

/// Checks the settings that the new server will have, with the data directory of `cluster` in place of its own. Those of `ALTER ROLE ALL` apply in every session too.
pub async fn check(
    upgrade: &UpgradeContext,
    cluster: &Scratch,
    inventory: &Inventory,
) -> Result<Checked, StepError> {
    let merged = MergedSettings::write(cluster, settings_of_new_data(upgrade, cluster)?).await?;
    check_merged(upgrade, &merged, inventory).await
}

/// The settings of a server on a new data directory: those of the pod and of `user.conf`, and those of `ALTER SYSTEM`, which are
/// carried over.
fn settings_of_new_data(upgrade: &UpgradeContext, cluster: &Scratch) -> Result<String, StepError> {
    let stored = upgrade.volume.data_dir(upgrade.old_major).join("postgresql.auto.conf");
    let mut text = serverconf::postgresql_conf(&cluster.pgdata());
    // Not by its path: the server would follow a link and wait for a FIFO.
    let stored = upgrade.volume.tree().read_if_exists(&stored)?.unwrap_or_default();
    text.push_str(&String::from_utf8_lossy(&stored));
    Ok(text)
}

/// Checks settings that were written to a file.
pub async fn check_merged(
    upgrade: &UpgradeContext,
    merged: &MergedSettings,
    inventory: &Inventory,
) -> Result<Checked, StepError> {
    if let Err(refusal) = merged.value("data_directory").await? {
        let text = format!(
            "PostgreSQL {} does not start with the settings of {} and of ALTER SYSTEM; remove the one it names: {refusal}",
            upgrade.plan.to.version,
            Path::new(layout::CONFIG_DIR).join(names::USER_CONF).display(),
        );
        return Ok(Checked::only(Finding::new("configuration", text)));
    }
    let mut checked = Checked::default();
    if upgrade.old_major >= CARRIES_SUBSCRIPTIONS && upgrade.new_major >= LIMITS_ORIGINS {
        let limit = merged.value(MAX_ORIGINS).await?.unwrap_or_default();
        checked.findings.extend(too_many_origins(&limit, inventory.subscriptions));
    }
    let slots = carried(inventory, upgrade.old_major);
    if !slots.is_empty() {
        let max = merged.value("max_replication_slots").await?.unwrap_or_default();
        let wal_level = merged.value("wal_level").await?.unwrap_or_default();
        checked.findings.extend(unstartable(slots, &max, &wal_level));
    }
    let mut server_libraries = Vec::new();
    for setting in [SERVER_SETTING].into_iter().chain(SESSION_SETTINGS) {
        let for_all = inventory.settings_for_all.iter().filter(|(name, _)| name == setting);
        let merged_value = merged.value(setting).await?.unwrap_or_default();
        let values = for_all.map(|(_, value)| value.as_str()).chain([merged_value.as_str()]);
        // What the server itself has loaded is available to every session.
        let named: BTreeSet<_> = values
            .flat_map(|value| libraries(setting, value))
            .filter(|library| !server_libraries.contains(library))
            // The worker of a minor upgrade does not see the volume, which the new pod has as the old one.
            .filter(|library| upgrade.kind == UpgradeKind::Major || !is_on_volume(library))
            .collect();
        let (found, absent) = merged.find_libraries(named.into_iter().collect()).await?;
        if !absent.is_empty() {
            checked.findings.push(missing(setting, &absent));
        }
        if setting != SERVER_SETTING {
            checked.session_libraries.push((setting, found));
            continue;
        }
        if absent.is_empty() && !found.is_empty() && upgrade.new_major >= REPORTS_SHARED_MEMORY {
            // The libraries may request some of it, so they are loaded first.
            let refusal = merged.value("shared_memory_size").await?.err();
            checked.findings.extend(refusal.map(|refusal| refused(setting, &refusal)));
        }
        server_libraries = found;
    }
    let (archiving, missing) = archive_library::check(upgrade.kind, merged).await?;
    checked.findings.extend(missing);
    checked.session_libraries.extend(archiving);
    if upgrade.kind == UpgradeKind::Minor {
        // The serving server itself is started again, on its own data.
        return Ok(checked);
    }
    let mut target = Vec::new();
    for name in TAKEN_OVER {
        // The target may not know it.
        target.extend(merged.value(name).await?.ok().map(|value| (name, value)));
    }
    let of_sessions = of_sessions(&checked, merged, inventory).await?;
    let found = Libraries { of_server: &server_libraries, of_sessions };
    let (servers, note) = take_over(upgrade, inventory, &found, target).await?;
    checked.servers = servers;
    checked.findings.extend(note);
    Ok(checked)
}

/// The libraries that sessions load, by the server's settings or those of databases and roles, and that the target has.
async fn of_sessions(
    checked: &Checked,
    merged: &MergedSettings,
    inventory: &Inventory,
) -> Result<Vec<String>, StepError> {
    let stored: BTreeSet<_> = stored_libraries::named(&inventory.stored_libraries)
        .into_iter()
        .map(|(_, library)| library)
        .collect();
    let (found, _) = merged.find_libraries(stored.into_iter().collect()).await?;
    Ok(checked.session_libraries().map(|(_, library)| library.clone()).chain(found).collect())
}

impl Checked {
    /// Nothing but a finding, which keeps the settings from being read.
    #[must_use]
    pub fn only(finding: Finding) -> Self {
        Self { findings: vec![finding], ..Self::default() }
    }

    /// The libraries that sessions must be able to load, each with its setting.
    pub fn session_libraries(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let all = self.session_libraries.iter();
        all.flat_map(|(setting, libraries)| libraries.iter().map(move |library| (*setting, library)))
    }

    /// Checks in the running scratch server that sessions can load their libraries, and accept the settings of
    /// `ALTER ROLE ALL`: `pg_dumpall` does not dump these, so nothing else would try their values.
    pub async fn check_sessions(
        &self,
        scratch: &Scratch,
        for_all: &[(String, String)],
    ) -> Result<Vec<Finding>, StepError> {
        let mut findings = Vec::new();
        let mut client = scratch.connect("template1").await?;
        for (name, value) in for_all {
            let refusal = rejection_for_all(&mut client, name, value).await?;
            findings.extend(refusal.map(|refusal| {
                let text = format!(
                    "ALTER ROLE ALL sets {name} to a value that the target rejects; RESET it: {refusal}"
                );
                Finding::new("setting-value", text)
            }));
        }
        for (setting, libraries) in &self.session_libraries {
            if libraries.is_empty() {
                continue;
            }
            let psql =
                scratch.client("psql").args(["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname=template1"]);
            // One session, as one library may need another.
            let loads =
                libraries.iter().map(|library| format!("--command=LOAD '{}'", library.replace('\'', "''")));
            let refusal = answer(psql.args(loads).output().await)?.err();
            findings.extend(refusal.map(|refusal| refused(setting, &refusal)));
        }
        Ok(findings)
    }
}

/// The setting that limits how many subscriptions a server can have, and the version that introduced it.
const MAX_ORIGINS: &str = "max_active_replication_origins";
const LIMITS_ORIGINS: u32 = 18;
/// From this version on subscriptions are carried over with what they have received.
const CARRIES_SUBSCRIPTIONS: u32 = 17;

/// A server with more subscriptions than its limit does not start.
fn too_many_origins(limit: &str, subscriptions: u64) -> Option<Finding> {
    let limit: u64 = limit.trim().parse().ok()?;
    (subscriptions > limit).then(|| {
        let text = format!(
            "the target allows {limit} subscriptions by its setting {MAX_ORIGINS}, not by max_replication_slots, and there \
             are {subscriptions}; the serving version does not know that setting, so drop some, and recreate them \
             afterwards"
        );
        Finding::new("subscriptions", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_above_the_targets_limit_are_counted() {
        assert_eq!(too_many_origins("10\n", 10), None);
        let text = too_many_origins("10\n", 11).unwrap().to_string();
        assert!(text.contains("there are 11"), "{text}");
    }
}
