//! What the upgrade changes about rules of text and time, reported before it. The scratch server has the libraries of the target and
//! the definitions of the database, so it knows what will depend on the change.

use pgops_api::names::{ANNOTATION_REINDEX, ANNOTATION_REPARTITION};
use pgops_api::plan::{Reindex, Step};
use tokio_postgres::Client;

use crate::postgres::answers::known::Answers;
use crate::postgres::client::error::ServerError;
use crate::postgres::collation::changes::RuleChanges;
use crate::postgres::collation::dependents::Dependents;
use crate::postgres::collation::follow_ups::manual_follow_ups;
use crate::postgres::collation::indexes::{affected, bytes};
use crate::postgres::collation::partitions::roots;
use crate::postgres::collation::rules::{RulesBefore, RulesInUse, rules_before};
use crate::upgrade::rebuild_progress::{ANSWERS_BEFORE, COLLATIONS_BEFORE, PROGRESS, Progress};
use crate::upgrade::{Finding, StepError, UpgradeContext, shortened, warn_step};

/// Stores the rules of the old server in the report, for `RebuildIndexes`, of which those in `read` are in use in its databases. The
/// upgrade succeeds without them too, and that step then reports that it could not compare.
pub async fn store_rules(
    upgrade: &UpgradeContext,
    ip: &str,
    databases: &[String],
    read: Vec<Result<RulesInUse, ServerError>>,
) -> Option<RulesBefore> {
    let result = async {
        let in_use = read.into_iter().collect::<Result<Vec<_>, ServerError>>()?;
        let rules = rules_before(&upgrade.superuser, ip, databases, in_use).await?;
        let json = serde_json::to_string(&rules.answers).unwrap_or_default();
        upgrade.cluster.write_report(ANSWERS_BEFORE, &json).await?;
        let json = serde_json::to_string(&rules.collations).unwrap_or_default();
        upgrade.cluster.write_report(COLLATIONS_BEFORE, &json).await?;
        // A deleted request of the same name may have left its report.
        let nothing = serde_json::to_string(&Progress::default()).unwrap_or_default();
        upgrade.cluster.write_report(PROGRESS, &nothing).await?;
        Ok::<_, StepError>(rules)
    };
    result.await.inspect_err(|error| warn_step(Step::Preflight, error)).ok()
}

/// What of a database depends on the change, with the database's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Dependent {
    Indexes(String),
    Partitions(String),
    /// A sentence about something else that stores results.
    Stored(String),
}

/// What of a database, `restored` into the scratch server, depends on what changes; `serving` is connected to it on the serving
/// server, whose rules are in `before`, and `answers` has those of the scratch server.
pub async fn dependents_of_restored(
    upgrade: &UpgradeContext,
    serving: &Client,
    restored: &Client,
    before: &RulesBefore,
    answers: &mut Answers,
    database: &str,
) -> Result<Vec<Dependent>, ServerError> {
    let now = RulesInUse::read(restored, upgrade.new_major).await?;
    answers.ask(restored, &now.asked()).await?;
    let changes = RuleChanges::between(before, &now, answers, upgrade.old_major, upgrade.new_major);
    dependents(serving, restored, upgrade.new_major, &changes, database).await
}

/// What of the database that `client` is connected to depends on changes, on a server of `major`; `serving` is connected to it on the
/// serving server.
pub async fn dependents(
    serving: &Client,
    client: &Client,
    major: u32,
    changes: &RuleChanges,
    database: &str,
) -> Result<Vec<Dependent>, ServerError> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let dependents = Dependents::of(changes, client, major).await?;
    let mut found = Vec::new();
    let indexes = affected(client, &dependents).await?;
    if !indexes.is_empty() {
        let bytes = bytes(serving, &indexes).await?;
        found.push(Dependent::Indexes(format!(
            "{} of database \"{database}\", {} MiB: {changes}",
            indexes.len(),
            bytes.div_ceil(1024 * 1024)
        )));
    }
    let roots = roots(client, &dependents).await?;
    if !roots.is_empty() {
        found.push(Dependent::Partitions(format!("{} of database \"{database}\"", shortened(&roots))));
    }
    let others = manual_follow_ups(client, &dependents).await?.into_iter();
    found.extend(others.map(|what| Dependent::Stored(format!("{what} (database \"{database}\")"))));
    Ok(found)
}

/// The notes about all databases.
pub fn note(dependents: &[Dependent], reindex: Reindex) -> Vec<Finding> {
    let of_kind = |kind: fn(&Dependent) -> Option<&String>| -> Vec<String> {
        dependents.iter().filter_map(kind).cloned().collect()
    };
    let notes = [
        note_of_indexes(&of_kind(Dependent::indexes), reindex),
        note_of_partitions(&of_kind(Dependent::partitions), reindex),
        note_of_stored(&of_kind(Dependent::stored)),
    ];
    notes.into_iter().flatten().collect()
}

impl Dependent {
    fn indexes(&self) -> Option<&String> {
        if let Self::Indexes(text) = self { Some(text) } else { None }
    }

    fn partitions(&self) -> Option<&String> {
        if let Self::Partitions(text) = self { Some(text) } else { None }
    }

    fn stored(&self) -> Option<&String> {
        if let Self::Stored(text) = self { Some(text) } else { None }
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
            "indexes whose order or content the new version or its image computes differently {action} ({ANNOTATION_REINDEX}): {all}"
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
            "rows of tables that are partitioned by text or local time, or that inherit with checks of them, may belong to another \
             partition of the new version; {action}: {all}"
        ),
    ))
}

/// Also where nothing is rebuilt: no step does anything about these.
fn note_of_stored(stored: &[String]) -> Option<Finding> {
    (!stored.is_empty()).then(|| {
        let text = "what the database stores was computed by rules that the new version or its image changes, and is not computed again: ";
        Finding::note("stored-results", format!("{text}{}", shortened(stored)))
    })
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

    #[test]
    fn stored_results_are_named_before_the_outage_and_documented() {
        let dependents = [Dependent::Stored("the column day of public.visits …".to_owned())];
        for reindex in [Reindex::Affected, Reindex::Off] {
            let named = text(&dependents, reindex);
            assert!(named.starts_with("[stored-results] note: "), "{named}");
            assert!(named.ends_with("the column day of public.visits …"), "{named}");
        }
        let page = include_str!("../../../../docs/reference/findings.md");
        assert!(page.contains("`stored-results`"));
    }
}
