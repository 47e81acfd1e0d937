//! Indexes with an extension's access method that the upgrade may leave unreadable or empty.

use pgops_api::plan::UpgradeKind;

use crate::postgres::extension::index_methods::{ExtensionIndexes, Storage, storage};
use crate::postgres::program::offer::Offer;
use crate::upgrade::{Finding, shortened};

/// The notes about the indexes that were found in each database; `offer` is what the target image has.
pub fn notes(
    kind: UpgradeKind,
    databases: &[String],
    found: &[Vec<ExtensionIndexes>],
    offer: &Offer,
) -> Vec<Finding> {
    let mut notes = Vec::new();
    for (database, all) in databases.iter().zip(found) {
        let target = |extension: &str| offer.default_version(extension);
        notes.extend(all.iter().filter_map(|indexes| note(indexes, target, kind, database)));
    }
    notes
}

/// The note about the indexes of one access method in a database; `target` knows the versions that the target image has.
fn note<'a>(
    indexes: &ExtensionIndexes,
    target: impl FnOnce(&str) -> Option<&'a str>,
    kind: UpgradeKind,
    database: &str,
) -> Option<Finding> {
    let ExtensionIndexes { method, extension, version, names } = indexes;
    let problem = match storage(method) {
        Storage::Outside if kind == UpgradeKind::Major => format!(
            "{extension} keeps indexes of {method} outside of their own files, in the data directory, and pg_upgrade does not \
             carry that: until they are rebuilt, queries by them fail or find nothing, although they are valid"
        ),
        Storage::Outside | Storage::Versioned => {
            let target = target(extension).filter(|target| target != version)?;
            format!(
                "the target image has {extension} {target}, and the database {version}: if the format of indexes of {method} has \
                 changed in between, or a version has damaged them, as its makers would say, queries by them fail or miss rows, \
                 although they are valid"
            )
        }
        Storage::Stable => return None,
    };
    let text = format!(
        "{problem}; after the upgrade, and ALTER EXTENSION … UPDATE, REINDEX INDEX CONCURRENTLY in \"{database}\": {}",
        shortened(names)
    );
    Some(Finding::note("extension-index", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(extension: &str, method: &str) -> ExtensionIndexes {
        ExtensionIndexes {
            method: method.to_owned(),
            extension: extension.to_owned(),
            version: "0.4.2".to_owned(),
            names: vec!["public.face_index".to_owned()],
        }
    }

    #[test]
    fn indexes_of_another_version_are_noted_in_minor_upgrades_too() {
        for kind in [UpgradeKind::Minor, UpgradeKind::Major] {
            let note = |target| note(&indexes("vchord", "vchordrq"), |_| target, kind, "shop");
            assert_eq!(note(Some("0.4.2")), None);
            let found = note(Some("1.1.1")).unwrap();
            assert!(!found.blocks() && found.text.contains("vchord 1.1.1"), "{found}");
            assert!(found.text.ends_with("in \"shop\": public.face_index"), "{found}");
        }
        let bloom = indexes("bloom", "bloom");
        assert_eq!(note(&bloom, |_| Some("1.0"), UpgradeKind::Major, "shop"), None);
    }

    #[test]
    fn indexes_that_pg_upgrade_leaves_behind_are_noted_whatever_their_version() {
        let groonga = indexes("pgroonga", "pgroonga");
        let found = note(&groonga, |_| Some("0.4.2"), UpgradeKind::Major, "shop").unwrap();
        assert!(found.text.contains("pg_upgrade does not carry"), "{found}");
        assert_eq!(note(&groonga, |_| Some("0.4.2"), UpgradeKind::Minor, "shop"), None);
        let page = include_str!("../../../../docs/reference/findings.md");
        assert!(page.contains(&format!("`{}`", found.id)), "docs/reference/findings.md lacks {}", found.id);
    }
}
