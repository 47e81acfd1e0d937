//! The target's server must accept the settings that it will be started with: those of `user.conf`, and those of
//! `ALTER SYSTEM`. A setting that it no longer knows would keep it from starting, and so would a library that it cannot
//! load.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pgops_api::plan::UpgradeKind;
use pgops_api::{layout, names, serverconf};

use super::preload_libraries::{SERVER_SETTING, SESSION_SETTINGS, libraries, missing, refused};
use super::private_servers::{TAKEN_OVER, take_over};
use super::replication_slots::{carried, unstartable};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::client::settings::rejection_for_all;
use crate::postgres::program::command::CommandError;
use crate::postgres::program::programs::Programs;
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
    /// Settings of sessions, each with its libraries that exist.
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
        return Ok(Checked { findings: vec![Finding::new("configuration", text)], ..Checked::default() });
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
    if upgrade.kind == UpgradeKind::Minor {
        // The serving server itself is started again, on its own data.
        return Ok(checked);
    }
    let mut target = Vec::new();
    for name in TAKEN_OVER {
        // The target may not know it.
        target.extend(merged.value(name).await?.ok().map(|value| (name, value)));
    }
    let (servers, note) = take_over(upgrade, inventory, &server_libraries, target).await?;
    checked.servers = servers;
    checked.findings.extend(note);
    Ok(checked)
}

impl Checked {
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

/// All settings in one file.
pub struct MergedSettings {
    programs: Programs,
    pgdata: PathBuf,
    file: PathBuf,
}

impl MergedSettings {
    /// Writes the text of a file next to a cluster of the target.
    pub async fn write(cluster: &Scratch, text: String) -> Result<Self, StepError> {
        let programs = cluster.programs().clone();
        let file = cluster.file("merged.conf");
        programs.agent.write_file(file.clone(), text).await?;
        Ok(Self { programs, pgdata: cluster.pgdata(), file })
    }

    /// The value that the target's server reads for a setting, or why it would not start.
    pub async fn value(&self, setting: &str) -> Result<Result<String, String>, CommandError> {
        let program = self.programs.program("postgres").args(["-C", setting]).arg("-D").path(&self.pgdata);
        let program = program.arg("-c").arg(format!("config_file={}", self.file.display()));
        // The TLS files may be visible only to the database's pod, and this cluster's WAL segments have the default
        // size.
        answer(
            program
                .args(["-c", "ssl=off", "-c", "min_wal_size=32MB", "-c", "max_wal_size=64MB"])
                .output()
                .await,
        )
    }

    /// The libraries that the target has, and those that it has not.
    async fn find_libraries(&self, names: Vec<String>) -> Result<(Vec<String>, Vec<String>), StepError> {
        let found = self.programs.agent.has_libraries(&self.programs.installation, names.clone()).await?;
        let (found, absent): (Vec<_>, Vec<_>) = names.into_iter().zip(found).partition(|(_, found)| *found);
        let names = |libraries: Vec<(String, bool)>| libraries.into_iter().map(|(name, _)| name).collect();
        Ok((names(found), names(absent)))
    }
}

/// A program's output, or the error that it printed.
fn answer(output: Result<String, CommandError>) -> Result<Result<String, String>, CommandError> {
    match output {
        Err(CommandError::Ended { tail, .. }) => Ok(Err(tail)),
        Err(error) => Err(error),
        Ok(output) => Ok(Ok(output)),
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
