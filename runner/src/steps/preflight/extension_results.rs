//! Stored results of extensions' functions whose extension has another version in the target image.

use std::collections::BTreeMap;

use crate::postgres::extension::stored_results::StoredResult;
use crate::postgres::program::offer::Offer;
use crate::upgrade::{Finding, shortened};

/// The notes about the results that were found in each database; `offer` is what the target image has.
pub fn notes(databases: &[String], found: &[Vec<StoredResult>], offer: &Offer) -> Vec<Finding> {
    let mut changed = BTreeMap::<String, Vec<String>>::new();
    for (database, results) in databases.iter().zip(found) {
        for result in results {
            if let Some(change) = change(result, offer.default_version(&result.extension)) {
                changed.entry(change).or_default().push(format!("{} in \"{database}\"", result.object));
            }
        }
    }
    changed.iter().map(|(change, objects)| note(change, objects)).collect()
}

/// The extension with both versions, if the target image has another one.
fn change(result: &StoredResult, target: Option<&str>) -> Option<String> {
    let StoredResult { extension, version, .. } = result;
    let target = target.filter(|target| target != version)?;
    Some(format!("{extension} ({version}, {target} in the target image)"))
}

fn note(change: &str, objects: &[String]) -> Finding {
    let text = format!(
        "these store results of functions of {change}: where the functions, or a library of the image that they use, such as \
         PROJ, give others then, queries miss rows; see what the makers say of the versions in between, and REINDEX indexes, or \
         UPDATE rows, after the upgrade: {}",
        shortened(objects)
    );
    Finding::note("extension-results", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_another_version_are_noted_with_both_versions_and_documented() {
        let result = StoredResult {
            extension: "postgis".to_owned(),
            version: "3.1.1".to_owned(),
            object: "index public.by_place".to_owned(),
        };
        assert_eq!(change(&result, Some("3.1.1")), None);
        assert_eq!(change(&result, None), None, "a note of its own says that it is missing");
        let change = change(&result, Some("3.5.2")).unwrap();
        let found = note(&change, &["index public.by_place in \"geo\"".to_owned()]);
        assert!(!found.blocks() && found.text.ends_with("index public.by_place in \"geo\""), "{found}");
        assert!(found.text.contains("postgis (3.1.1, 3.5.2 in the target image)"), "{found}");
        let page = include_str!("../../../../docs/reference/findings.md");
        assert!(page.contains(&format!("`{}`", found.id)), "docs/reference/findings.md lacks {}", found.id);
    }
}
