//! What the upgrade changes about text, reported before it. The scratch server has the libraries of the target and the
//! definitions of the database, so it knows which indexes and partitions will depend on the change.

use pgops_api::names::{ANNOTATION_REINDEX, ANNOTATION_REPARTITION};
use pgops_api::plan::{Reindex, Step};
use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::collation::changes::TextChanges;
use crate::postgres::collation::indexes::{affected, bytes};
use crate::postgres::collation::partitions::roots;
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

/// What of a database depends on the change, with the database's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Dependent {
    Indexes(String),
    Partitions(String),
}

/// The indexes and partitions of a database, `restored` into the scratch server, that depend on what changes; `before` has
/// the collation versions of the server that serves it at `ip`. If `target` has the versions of the target, the serving
/// database stands for the restored one.
pub async fn dependents(
    upgrade: &UpgradeContext,
    ip: &str,
    restored: &Client,
    before: &[CollationVersion],
    target: Option<&[CollationVersion]>,
    database: &str,
) -> Result<Vec<Dependent>, ServerError> {
    let now = collations_in_use(restored, upgrade.new_major).await?;
    let now = with_target_versions(now, target.unwrap_or_default());
    let changes = TextChanges::between(before, &now, upgrade.old_major, upgrade.new_major);
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let dependents = changes.dependents(restored).await?;
    let mut found = Vec::new();
    let indexes = affected(restored, &dependents).await?;
    if !indexes.is_empty() {
        let bytes = bytes(&upgrade.superuser.connect(ip, database).await?, &indexes).await?;
        found.push(Dependent::Indexes(format!(
            "{} of database \"{database}\", {} MiB: {changes}",
            indexes.len(),
            bytes.div_ceil(1024 * 1024)
        )));
    }
    let roots = roots(restored, &dependents).await?;
    if !roots.is_empty() {
        found.push(Dependent::Partitions(format!("{} of database \"{database}\"", shortened(&roots))));
    }
    Ok(found)
}

/// The notes about all databases.
pub fn note(dependents: &[Dependent], reindex: Reindex) -> Vec<Finding> {
    let indexes: Vec<String> = dependents.iter().filter_map(Dependent::indexes).collect();
    let partitions: Vec<String> = dependents.iter().filter_map(Dependent::partitions).collect();
    note_of_indexes(&indexes, reindex).into_iter().chain(note_of_partitions(&partitions, reindex)).collect()
}

impl Dependent {
    fn indexes(&self) -> Option<String> {
        match self {
            Self::Indexes(text) => Some(text.clone()),
            Self::Partitions(_) => None,
        }
    }

    fn partitions(&self) -> Option<String> {
        match self {
            Self::Indexes(_) => None,
            Self::Partitions(text) => Some(text.clone()),
        }
    }
}

fn note_of_indexes(indexes: &[String], reindex: Reindex) -> Option<Finding> {
    if indexes.is_empty() {
        return None;
    }
    let action = match reindex {
        Reindex::Off => return None,
        Reindex::Affected => "are rebuilt after the outage",
        Reindex::Report => "are listed after the outage, and left to you",
    };
    let all = shortened(indexes);
    Some(Finding::note(
        "rules-of-text",
        format!(
            "indexes on text that the new version sorts or parses differently {action} ({ANNOTATION_REINDEX}): {all}"
        ),
    ))
}

fn note_of_partitions(partitions: &[String], reindex: Reindex) -> Option<Finding> {
    if partitions.is_empty() {
        return None;
    }
    let action = match reindex {
        Reindex::Off => {
            format!("queries miss those that do, and they are not searched ({ANNOTATION_REINDEX})")
        }
        Reindex::Affected | Reindex::Report => format!(
            "those that do are named after the outage, or moved if the request has {ANNOTATION_REPARTITION}: move"
        ),
    };
    let all = shortened(partitions);
    Some(Finding::note(
        "partitions-by-text",
        format!(
            "rows of tables that are partitioned by text may belong to another partition of the new version; {action}: {all}"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dependents: &[Dependent], reindex: Reindex) -> String {
        note(dependents, reindex).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn note_says_what_will_be_done() {
        let indexes = "3 of database \"shop\", 12 MiB: the default of shop (2.31 → 2.41)".to_owned();
        let dependents = [Dependent::Indexes(indexes)];
        let rebuilt = text(&dependents, Reindex::Affected);
        assert!(rebuilt.starts_with("[rules-of-text] note: "), "{rebuilt}");
        assert!(
            rebuilt.contains("are rebuilt after the outage") && rebuilt.ends_with("(2.31 → 2.41)"),
            "{rebuilt}"
        );
        assert!(text(&dependents, Reindex::Report).contains("left to you"));
        assert_eq!(text(&dependents, Reindex::Off), "");
        assert_eq!(text(&[], Reindex::Affected), "");
    }

    #[test]
    fn partitioned_tables_are_named_before_the_outage() {
        let dependents = [Dependent::Partitions("public.words of database \"shop\"".to_owned())];
        let named = text(&dependents, Reindex::Affected);
        assert!(named.starts_with("[partitions-by-text] note: "), "{named}");
        assert!(named.ends_with("pgops.dev/repartition: move: public.words of database \"shop\""), "{named}");
        assert!(text(&dependents, Reindex::Off).contains("are not searched (pgops.dev/reindex)"));
    }
}
