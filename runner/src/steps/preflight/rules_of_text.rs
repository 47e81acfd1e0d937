//! What the upgrade changes about text, told before it: the scratch server has the libraries of the target and the
//! definitions of the database, so it knows which indexes will depend on that.

use pgops_api::names::ANNOTATION_REINDEX;
use pgops_api::plan::Reindex;
use tokio_postgres::Client;

use super::super::finding::shortened;
use super::super::{Finding, Upgrade};
use crate::postgres::client::error::ServerError;
use crate::postgres::collation::changes::TextChanges;
use crate::postgres::collation::indexes::{affected, bytes};
use crate::postgres::collation::versions::{CollationVersion, collations_in_use};

/// The indexes of a database, `restored` into the scratch server, that depend on what changes; `before` has the orders of
/// the server that serves it at `ip`.
pub(super) async fn dependents(
    upgrade: &Upgrade,
    ip: &str,
    restored: &Client,
    before: &[CollationVersion],
    database: &str,
) -> Result<Option<String>, ServerError> {
    let now = collations_in_use(restored, upgrade.new_major).await?;
    let changes = TextChanges::between(before, &now, upgrade.old_major, upgrade.new_major);
    let indexes = affected(restored, &changes.dependents(restored).await?).await?;
    if indexes.is_empty() {
        return Ok(None);
    }
    let bytes = bytes(&upgrade.superuser.connect(ip, database).await?, &indexes).await?;
    Ok(Some(format!(
        "{} of database \"{database}\", {} MiB: {changes}",
        indexes.len(),
        bytes.div_ceil(1024 * 1024)
    )))
}

/// The note about all databases.
pub(super) fn note(dependents: &[String], reindex: Reindex) -> Option<Finding> {
    if dependents.is_empty() {
        return None;
    }
    let then = match reindex {
        Reindex::Off => return None,
        Reindex::Affected => "are rebuilt after the outage",
        Reindex::Report => "are named after the outage, and left to you",
    };
    let all = shortened(dependents);
    Some(Finding::note(
        "rules-of-text",
        format!(
            "indexes on text that the new version sorts or reads in another way {then} ({ANNOTATION_REINDEX}): {all}"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_says_what_will_be_done() {
        let dependents = ["3 of database \"shop\", 12 MiB: the default of shop (2.31 → 2.41)".to_owned()];
        let said = |reindex| note(&dependents, reindex).map(|note| note.to_string()).unwrap_or_default();
        let rebuilt = said(Reindex::Affected);
        assert!(rebuilt.starts_with("[rules-of-text] note: "), "{rebuilt}");
        assert!(
            rebuilt.contains("are rebuilt after the outage") && rebuilt.ends_with("(2.31 → 2.41)"),
            "{rebuilt}"
        );
        assert!(said(Reindex::Report).contains("left to you"));
        assert_eq!(said(Reindex::Off), "");
        assert_eq!(note(&[], Reindex::Affected), None);
    }
}
