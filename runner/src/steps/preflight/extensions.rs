//! Extensions: `pg_upgrade` carries their objects over unchanged, and never checks whether the target image has the
//! extension, or which version of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::postgres::client::inventory::Extension;
use crate::postgres::extension::knowledge::Knowledge;
use crate::postgres::extension::remedy::instead_of_update;
use crate::postgres::program::offer::Offer;
use crate::upgrade::{Finding, shortened};

/// Notes about the installed extensions, one for each version of each.
pub fn notes(installed: &BTreeSet<Extension>, offer: &Offer, knowledge: &Knowledge) -> Vec<Finding> {
    let mut databases: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for Extension { name, version, database } in installed {
        databases.entry((name, version)).or_default().push(format!("\"{database}\""));
    }
    let each = databases.into_iter().filter_map(|((name, version), databases)| {
        let subject = format!("extension {name} {version} in database {}", shortened(&databases));
        if !offer.has(name) {
            let text = format!(
                "{subject}: the target image does not have it; its objects are carried over, but a backup of the \
                 database could not be restored there: DROP EXTENSION it if it is not needed, or use an image that has it"
            );
            return Some(Finding::note("extension-missing", text));
        }
        let target = offer.default_version(name).filter(|target| *target != version)?;
        let text = if offer.has_update_path(name, version, target) {
            format!("{subject}: the target image has {target}; ALTER EXTENSION … UPDATE updates to it")
        } else {
            let remedy = instead_of_update(name, knowledge.get(name)).map_or_else(
                || "see the extension's documentation for how to migrate".to_owned(),
                |statements| format!("after the upgrade, {statements}"),
            );
            format!("{subject}: the target image has {target}, and no script that updates to it: {remedy}")
        };
        Some(Finding::note("extension-version", text))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Offer {
        let scripts = ["pg_stat_statements--1.8--1.9", "pg_stat_statements--1.9--1.11"];
        let versions = [("pg_stat_statements", "1.11"), ("pgaudit", "17.1")];
        Offer {
            scripts: scripts.map(Into::into).into(),
            versions: versions.map(|(name, version)| (name.to_owned(), Some(version.to_owned()))).into(),
        }
    }

    #[test]
    fn extension_without_update_script_is_created_again_if_its_makers_say_so() {
        let audit = texts("pgaudit", "1.7").concat();
        assert!(audit.contains("after the upgrade, DROP EXTENSION \"pgaudit\"; CREATE EXTENSION"), "{audit}");
        let statements = texts("pg_stat_statements", "1.7").concat();
        assert!(statements.contains("documentation") && !statements.contains("DROP"), "{statements}");
    }

    fn texts(name: &str, version: &str) -> Vec<String> {
        let extension = Extension { name: name.into(), version: version.into(), database: "shop".to_owned() };
        let notes = notes(&[extension].into(), &offer(), &Knowledge::new(&[]));
        assert!(notes.iter().all(|note| !note.blocks()));
        notes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn extension_of_the_targets_version_has_no_note() {
        assert_eq!(texts("pg_stat_statements", "1.11"), [""; 0]);
    }

    #[test]
    fn older_extension_is_updated_if_scripts_lead_there() {
        let old = texts("pg_stat_statements", "1.8").concat();
        assert!(old.contains("1.8 in database \"shop\"") && old.contains("UPDATE"), "{old}");
        assert!(texts("pg_stat_statements", "1.7").concat().contains("no script"));
    }

    #[test]
    fn extension_that_the_image_lacks_is_named() {
        assert!(texts("adminpack", "2.1").concat().starts_with("[extension-missing]"));
    }
}
