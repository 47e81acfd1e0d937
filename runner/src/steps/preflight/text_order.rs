//! What the upgrade changes about text, reported before it. The scratch server has the libraries of the target and the
//! definitions of the database, so it knows which indexes will depend on the change.

use pgops_api::names::ANNOTATION_REINDEX;
use pgops_api::plan::{Reindex, Step};
use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::collation::changes::TextChanges;
use crate::postgres::collation::indexes::{affected, bytes};
use crate::postgres::collation::target_versions::with_target_versions;
use crate::postgres::collation::versions::{CollationVersion, collation_versions, collations_in_use};
use crate::upgrade::rebuild_progress::{COLLATIONS_BEFORE, PROGRESS, Progress};
use crate::upgrade::{Finding, StepError, UpgradeContext, shortened, warn_step};

/// Stores the collation versions of the old server in the report, for `RebuildIndexes`. The upgrade succeeds without
/// them too, and that step then reports that it could not compare.
pub async fn store_collations(upgrade: &UpgradeContext, ip: &str) -> Option<Vec<CollationVersion>> {
    let result = async {
        let collations = collation_versions(&upgrade.superuser, ip, upgrade.old_major).await?;
        let json = serde_json::to_string(&collations).unwrap_or_default();
        upgrade.cluster.write_report(COLLATIONS_BEFORE, &json).await?;
        // A deleted request of the same name may have left its report.
        let nothing = serde_json::to_string(&Progress::default()).unwrap_or_default();
        upgrade.cluster.write_report(PROGRESS, &nothing).await?;
        Ok::<_, StepError>(collations)
    };
    result.await.inspect_err(|error| warn_step(Step::Preflight, error)).ok()
}

/// The indexes of a database, `restored` into the scratch server, that depend on what changes; `before` has the collation
/// versions of the server that serves it at `ip`. If `target` has the versions of the target, the serving database stands for the
/// restored one.
pub async fn dependents(
    upgrade: &UpgradeContext,
    ip: &str,
    restored: &Client,
    before: &[CollationVersion],
    target: Option<&[CollationVersion]>,
    database: &str,
) -> Result<Option<String>, ServerError> {
    let now = collations_in_use(restored, upgrade.new_major).await?;
    let now = with_target_versions(now, target.unwrap_or_default());
    let changes = TextChanges::between(before, &now, upgrade.old_major, upgrade.new_major);
    if changes.is_empty() {
        return Ok(None);
    }
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
pub fn note(dependents: &[String], reindex: Reindex) -> Option<Finding> {
    if dependents.is_empty() {
        return None;
    }
    let action = match reindex {
        Reindex::Off => return None,
        Reindex::Affected => "are rebuilt after the outage",
        Reindex::Report => "are listed after the outage, and left to you",
    };
    let all = shortened(dependents);
    Some(Finding::note(
        "rules-of-text",
        format!(
            "indexes on text that the new version sorts or parses differently {action} ({ANNOTATION_REINDEX}): {all}"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_says_what_will_be_done() {
        let dependents = ["3 of database \"shop\", 12 MiB: the default of shop (2.31 → 2.41)".to_owned()];
        let text = |reindex| note(&dependents, reindex).map(|note| note.to_string()).unwrap_or_default();
        let rebuilt = text(Reindex::Affected);
        assert!(rebuilt.starts_with("[rules-of-text] note: "), "{rebuilt}");
        assert!(
            rebuilt.contains("are rebuilt after the outage") && rebuilt.ends_with("(2.31 → 2.41)"),
            "{rebuilt}"
        );
        assert!(text(Reindex::Report).contains("left to you"));
        assert_eq!(text(Reindex::Off), "");
        assert_eq!(note(&[], Reindex::Affected), None);
    }
}
