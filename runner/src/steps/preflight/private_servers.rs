//! What the upgrade's own servers take over from the database's settings, and whether the target's start with it: in the
//! outage it is too late to find out.

use std::path::Path;
use std::time::{Duration, Instant};

use super::preload_libraries::{SERVER_SETTING, left_out, libraries};
use super::replication_slots::{allowed_plugins, carried, refused_plugins};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::client::serving_settings::{LogicalSlot, OUTPUT_PLUGINS};
use crate::postgres::preloaded;
use crate::postgres::program::command::CommandError;
use crate::postgres::redact::redact;
use crate::postgres::server::private_server::{Data, PrivateServer};
use crate::postgres::server::scratch::{Scratch, ScratchError};
use crate::postgres::server::server_log::last_error;
use crate::postgres::server_settings::ServerSettings;
use crate::upgrade::{Finding, StepError, UpgradeContext};

/// The settings that the target's servers take over as the target reads them: where libraries are, and which of them may be
/// output plugins. `extension_control_path` is not among them, since a restore in binary upgrade mode creates extensions
/// without their control files.
pub const TAKEN_OVER: [&str; 2] = ["dynamic_library_path", OUTPUT_PLUGINS];

/// The configured libraries that the target has.
pub struct Libraries<'a> {
    /// Those that the server preloads.
    pub of_server: &'a [String],
    /// Those that sessions load.
    pub of_sessions: Vec<String>,
}

/// What the servers take over. `target` has the target's values of those settings of [`TAKEN_OVER`] that it knows.
pub async fn take_over(
    upgrade: &UpgradeContext,
    inventory: &Inventory,
    found: &Libraries<'_>,
    target: Vec<(&str, String)>,
) -> Result<(ServerSettings, Option<Finding>), StepError> {
    let slots = carried(inventory, upgrade.old_major);
    let (new_settings, note) = new_settings(slots, target);
    let used: Vec<_> = inventory.libraries.iter().map(|(library, _)| library.as_str()).collect();
    let overrides = &upgrade.extensions.libraries;
    let mut new_preload = preloaded::for_restore(found.of_server, &used, overrides);
    let all: Vec<_> = found.of_server.iter().chain(&found.of_sessions).cloned().collect();
    for library in preloaded::for_labels(&all, &inventory.label_providers, overrides) {
        if !new_preload.contains(&library) {
            new_preload.push(library);
        }
    }
    let settings = ServerSettings {
        capacity: inventory.serving.capacity,
        old_preload: old_preload(upgrade, &inventory.serving.preload).await?,
        new_preload,
        new_settings,
    };
    Ok((settings, note))
}

/// The libraries without which the old data cannot be opened, if they are staged.
async fn old_preload(upgrade: &UpgradeContext, configured: &str) -> Result<Vec<String>, StepError> {
    let needed = preloaded::for_data(&libraries(SERVER_SETTING, configured), &upgrade.extensions.libraries);
    if needed.is_empty() {
        return Ok(needed);
    }
    let old = upgrade.old_programs().await?;
    let found = old.agent.has_libraries(&old.installation, needed.clone()).await?;
    Ok(needed.into_iter().zip(found).filter(|(_, found)| *found).map(|(library, _)| library).collect())
}

fn new_settings(
    slots: &[LogicalSlot],
    target: Vec<(&str, String)>,
) -> (Vec<(String, String)>, Option<Finding>) {
    let mut note = None;
    let mut settings = Vec::new();
    for (name, value) in target {
        let value = match name {
            // Without slots nothing loads a plugin.
            OUTPUT_PLUGINS if slots.is_empty() => continue,
            OUTPUT_PLUGINS => {
                let (allowed, further) = allowed_plugins(slots, &value);
                note = further;
                allowed
            }
            "dynamic_library_path" if value == "$libdir" => continue,
            _ => value,
        };
        settings.push((name.to_owned(), value));
    }
    (settings, note)
}

/// Starts the scratch server as `pg_upgrade` will start the new one, and lets it load the plugins of the slots. A library
/// with which it does not start is left out of `settings`. Returns how long the start took, and what was found.
pub async fn start(
    upgrade: &UpgradeContext,
    scratch: &Scratch,
    inventory: &Inventory,
    settings: &mut ServerSettings,
) -> Result<(Duration, Vec<Finding>), StepError> {
    let (took, mut findings) = start_with_libraries(upgrade, scratch, inventory, settings).await?;
    findings.extend(refused_plugins(scratch, carried(inventory, upgrade.old_major)).await?);
    findings.extend(too_long(upgrade, inventory, settings));
    Ok((took, findings))
}

async fn start_with_libraries(
    upgrade: &UpgradeContext,
    scratch: &Scratch,
    inventory: &Inventory,
    settings: &mut ServerSettings,
) -> Result<(Duration, Vec<Finding>), StepError> {
    let (major, relations) = (upgrade.new_major, inventory.largest_database);
    let mut began = Instant::now();
    match scratch.start(major, relations, settings).await {
        Err(ScratchError::Command(CommandError::Ended { .. })) if !settings.new_preload.is_empty() => {}
        started => return Ok(started.map(|()| (began.elapsed(), Vec::new()))?),
    }
    // One by one, since one may need another before it.
    let mut findings = Vec::new();
    for library in std::mem::take(&mut settings.new_preload) {
        settings.new_preload.push(library.clone());
        let started = scratch.start(major, relations, settings).await;
        if let Err(ScratchError::Command(CommandError::Ended { tail, .. })) = &started {
            settings.new_preload.pop();
            let log = scratch.last_log().await?;
            findings.push(left_out(&library, &redact(last_error(&log).unwrap_or(tail))));
        } else {
            started?;
        }
        scratch.stop().await?;
    }
    began = Instant::now();
    scratch.start(major, relations, settings).await?;
    Ok((began.elapsed(), findings))
}

/// `pg_upgrade` has 2048 bytes for the command that starts a server (`exec_prog`, `src/bin/pg_upgrade/exec.c`), and ends with
/// "command too long". Less than 600 are its own.
const LONGEST_OPTIONS: usize = 1400;

fn too_long(upgrade: &UpgradeContext, inventory: &Inventory, settings: &ServerSettings) -> Option<Finding> {
    let old = Data::Old { commit_timestamps: true };
    let longest = [(upgrade.old_major, old), (upgrade.new_major, Data::New)]
        .map(|(major, data)| options_length(major, data, inventory.largest_database, settings))
        .into_iter()
        .max()?;
    (longest > LONGEST_OPTIONS).then(|| {
        let text = format!(
            "the command by which pg_upgrade starts a server would be too long: the libraries to preload and {} take \
             {longest} bytes with all other options; shorten them",
            TAKEN_OVER.join(", ")
        );
        Finding::new("configuration", text)
    })
}

fn options_length(major: u32, data: Data, relations: u64, settings: &ServerSettings) -> usize {
    let hba = UpgradeContext::scratch().join("pg_hba.conf");
    let hba: &Path = &hba;
    PrivateServer { major, data, relations, hba, settings }.options().for_pg_upgrade().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::server_settings::Capacity;

    #[test]
    fn options_leave_most_of_pg_upgrades_command_to_settings() {
        let most = u64::from(u32::MAX);
        let capacity = Capacity {
            connections: most,
            prepared_transactions: most,
            locks_per_transaction: most,
            replication_slots: most,
            wal_senders: most,
            active_replication_origins: most,
        };
        let settings = ServerSettings { capacity, ..ServerSettings::default() };
        for data in [Data::Old { commit_timestamps: true }, Data::New] {
            let length = options_length(18, data, most, &settings);
            assert!(length + 400 < LONGEST_OPTIONS, "{length}");
        }
    }

    #[test]
    fn new_servers_allow_the_plugins_of_slots_that_are_carried() {
        let target =
            || vec![("dynamic_library_path", "$libdir".to_owned()), (OUTPUT_PLUGINS, "pgoutput".to_owned())];
        let slots = [LogicalSlot { name: "feed".into(), plugin: "wal2json".into() }];
        let (settings, note) = new_settings(&slots, target());
        assert_eq!(settings, [(OUTPUT_PLUGINS.to_owned(), "pgoutput, wal2json".to_owned())]);
        assert!(note.is_some());
        assert_eq!(new_settings(&[], target()), (Vec::new(), None));
    }

    #[test]
    fn new_servers_look_for_libraries_where_the_target_does() {
        let target = vec![("dynamic_library_path", "$libdir:/opt/lib".to_owned())];
        let (settings, _) = new_settings(&[], target);
        assert_eq!(settings, [("dynamic_library_path".to_owned(), "$libdir:/opt/lib".to_owned())]);
    }
}
