//! Libraries that the sessions of a database or a role load, by `ALTER DATABASE` or `ALTER ROLE`. The rehearsal does not load
//! them: its sessions are independent of such settings.

use super::preload_libraries::{SESSION_SETTINGS, libraries, missing};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::program::programs::Programs;
use crate::upgrade::{Finding, StepError};

/// A finding for each setting with libraries that the old version has and the target lacks: every connection would fail.
pub async fn findings(
    inventory: &Inventory,
    old: &Programs,
    new: &Programs,
) -> Result<Vec<Finding>, StepError> {
    let mut findings = Vec::new();
    for setting in SESSION_SETTINGS {
        let names = named(setting, &inventory.stored_libraries);
        if names.is_empty() {
            continue;
        }
        let before = old.agent.has_libraries(&old.installation, names.clone()).await?;
        let after = new.agent.has_libraries(&new.installation, names.clone()).await?;
        let lost = lost(names, &before, &after);
        if !lost.is_empty() {
            findings.push(missing(setting, &lost));
        }
    }
    Ok(findings)
}

/// The libraries in all values of a setting.
fn named(setting: &str, stored: &[(String, String)]) -> Vec<String> {
    let values = stored.iter().filter(|(name, _)| name == setting);
    let mut names: Vec<_> = values.flat_map(|(_, value)| libraries(setting, value)).collect();
    names.sort();
    names.dedup();
    names
}

/// A library that was missing before fails its sessions already, and would not be lost.
fn lost(names: Vec<String>, before: &[bool], after: &[bool]) -> Vec<String> {
    let found = before.iter().zip(after);
    names
        .into_iter()
        .zip(found)
        .filter(|(_, found)| *found == (&true, &false))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_library_is_lost_if_only_the_old_version_has_it() {
        let names = || ["kept", "lost", "never", "new"].map(ToOwned::to_owned).to_vec();
        assert_eq!(lost(names(), &[true, true, false, false], &[true, false, false, true]), ["lost"]);
    }

    #[test]
    fn stored_libraries_of_a_setting_are_collected() {
        let stored = [("session", "b, a"), ("local_preload_libraries", "p"), ("session", "a")];
        let stored = stored
            .map(|(name, value)| (name.replace("session", "session_preload_libraries"), value.to_owned()));
        assert_eq!(named("session_preload_libraries", &stored), ["a", "b"]);
        assert_eq!(named("local_preload_libraries", &stored), ["$libdir/plugins/p"]);
    }
}
