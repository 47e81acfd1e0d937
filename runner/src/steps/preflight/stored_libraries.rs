//! Libraries that the sessions of a database or a role load, by `ALTER DATABASE` or `ALTER ROLE`. The rehearsal does not load
//! them: its sessions are independent of such settings.

use std::collections::BTreeMap;

use super::preload_libraries::{SESSION_SETTINGS, libraries, missing};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::client::settings::StoredSetting;
use crate::postgres::program::programs::Programs;
use crate::upgrade::{Finding, StepError};

/// A finding for each setting with libraries that the old version has and the target lacks: every connection to the
/// database, or of the role, would fail.
pub async fn findings(
    inventory: &Inventory,
    old: &Programs,
    new: &Programs,
) -> Result<Vec<Finding>, StepError> {
    let stored = named(&inventory.stored_libraries);
    let names: Vec<_> = stored.iter().map(|(_, name)| name.clone()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let before = old.agent.has_libraries(&old.installation, names.clone()).await?;
    let after = new.agent.has_libraries(&new.installation, names).await?;
    let lost = lost(stored, &before, &after);
    Ok(lost.iter().map(|(setting, names)| missing(setting, names)).collect())
}

/// The libraries of the settings that sessions obey, each with its setting and what that is stored for.
pub fn named(stored: &[StoredSetting]) -> Vec<(String, String)> {
    let of_sessions = stored.iter().filter(|it| SESSION_SETTINGS.contains(&it.name.as_str()));
    of_sessions
        .flat_map(|it| {
            let setting = format!("{} of {}", it.name, it.owner);
            libraries(&it.name, &it.value).into_iter().map(move |library| (setting.clone(), library))
        })
        .collect()
}

/// A library that was missing before fails its sessions already, and would not be lost.
fn lost(named: Vec<(String, String)>, before: &[bool], after: &[bool]) -> BTreeMap<String, Vec<String>> {
    let mut lost: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ((setting, name), found) in named.into_iter().zip(before.iter().zip(after)) {
        if found == (&true, &false) {
            lost.entry(setting).or_default().push(name);
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_library_is_lost_if_only_the_old_version_has_it() {
        let named = [("a", "kept"), ("a", "lost"), ("a", "never"), ("b", "new"), ("b", "lost")];
        let named = named.map(|(setting, name)| (setting.to_owned(), name.to_owned())).to_vec();
        let lost = lost(named, &[true, true, false, false, true], &[true, false, false, true, false]);
        let expected = ["a", "b"].map(|setting| (setting.to_owned(), vec!["lost".to_owned()]));
        assert_eq!(lost, expected.into());
    }

    #[test]
    fn stored_libraries_are_named_with_the_setting_and_its_owner() {
        let setting = |name: &str, owner: &str, value: &str| StoredSetting {
            name: name.into(),
            owner: owner.into(),
            value: value.into(),
        };
        let stored = [
            setting("session_preload_libraries", "database shop", "b, a"),
            setting("local_preload_libraries", "role app", "p"),
            setting("search_path", "role app", "public"),
        ];
        let of_shop = "session_preload_libraries of database shop";
        let expected =
            [(of_shop, "b"), (of_shop, "a"), ("local_preload_libraries of role app", "$libdir/plugins/p")];
        assert_eq!(named(&stored), expected.map(|(setting, name)| (setting.to_owned(), name.to_owned())));
    }
}
