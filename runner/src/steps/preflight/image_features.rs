//! What the serving image was built for and the target image was not: nothing fails until a row is read or written.

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::client::inventory::Inventory;
use crate::postgres::client::side_by_side::{connect_in_turn, side_by_side};
use crate::postgres::references::features::{Feature, has, users};
use crate::upgrade::{Finding, StepError, UpgradeContext, shortened};

/// Compares the server at `ip` with one of the target image, which `scratch` is connected to.
pub async fn findings(
    upgrade: &UpgradeContext,
    ip: &str,
    inventory: &Inventory,
    scratch: &Client,
) -> Result<Vec<Finding>, StepError> {
    let serving = upgrade.superuser.connect_server(ip).await?;
    let mut findings = Vec::new();
    for feature in [Feature::Lz4, Feature::Xml] {
        if !has(&serving, feature).await? || has(scratch, feature).await? {
            continue;
        }
        let found = side_by_side(&inventory.databases, |database| async move {
            let client = connect_in_turn(&upgrade.superuser, ip, database).await?;
            let users = users(&client, feature).await?.into_iter();
            Ok::<_, ServerError>(users.map(|user| format!("{user} in \"{database}\"")).collect::<Vec<_>>())
        });
        findings.extend(finding(feature, &found.await?.concat()));
    }
    Ok(findings)
}

/// What lacks a feature then. Values may have been compressed while `default_toast_compression` had another value.
fn finding(feature: Feature, users: &[String]) -> Option<Finding> {
    const ID: &str = "image-feature";
    let problem = format!("the target image was built without {}, which the serving one has", feature.name());
    let named = shortened(users);
    match (feature, users.is_empty()) {
        (Feature::Lz4, true) => Some(Finding::note(
            ID,
            format!(
                "{problem}: values that were compressed with it, while default_toast_compression was lz4, cannot be read \
                 afterwards; unless it never was, use an image that has it"
            ),
        )),
        (Feature::Lz4, false) => Some(Finding::new(
            ID,
            format!(
                "{problem}: values of these columns that are compressed with it cannot be read afterwards; use an image that has \
                 it, or ALTER TABLE … ALTER COLUMN … SET COMPRESSION pglz, and write all rows again: {named}"
            ),
        )),
        (Feature::Xml, true) => None,
        (Feature::Xml, false) => Some(Finding::new(
            ID,
            format!(
                "{problem}: these fail when they are given a value of xml; use an image that has it: {named}"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_that_the_target_lacks_blocks_if_something_needs_it_and_is_documented() {
        let users = ["public.notes.body in \"shop\"".to_owned()];
        for feature in [Feature::Lz4, Feature::Xml] {
            let found = finding(feature, &users).unwrap();
            assert!(found.blocks() && found.text.ends_with(&users[0]), "{found}");
            assert!(found.text.contains(&format!("without {}", feature.name())), "{found}");
            let page = include_str!("../../../../docs/reference/findings.md");
            assert!(
                page.contains(&format!("`{}`", found.id)),
                "docs/reference/findings.md lacks {}",
                found.id
            );
        }
    }

    #[test]
    fn values_that_no_definition_shows_to_be_compressed_are_noted() {
        let found = finding(Feature::Lz4, &[]).unwrap();
        assert!(!found.blocks() && found.text.contains("default_toast_compression"), "{found}");
        assert_eq!(finding(Feature::Xml, &[]), None);
    }
}
