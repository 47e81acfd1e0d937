//! `RebuildIndexes`: where the new image or version has other rules of text, indexes on text would miss rows.
//!
//! It comes before `Analyze`: a plan that is slow passes, a duplicate that a wrong index lets in stays.

mod progress;

use pgops_api::names;
use pgops_api::plan::{Reindex, Step, UpgradeKind};
use progress::{Place, Progress, Standing};
use tokio_postgres::Client;

use super::world::{say, warn};
use super::{StepError, Upgrade};
use crate::postgres::client::catalog::databases;
use crate::postgres::client::error::ServerError;
use crate::postgres::collation::amcheck::{CheckResult, check};
use crate::postgres::collation::changes::TextChanges;
use crate::postgres::collation::follow_ups::manual_follow_ups;
use crate::postgres::collation::indexes::{Index, affected};
use crate::postgres::collation::partitions::misrouted_rows;
use crate::postgres::collation::rebuild::{drop_leftovers, end_rebuilds, has_room, rebuild};
use crate::postgres::collation::refresh::{refresh, refresh_statements};
use crate::postgres::collation::versions::{CollationVersion, collation_versions, collations_in_use};

/// Part of the report: the orders of text before the upgrade.
const BEFORE: &str = "collations-before";
/// Part of the report: how far the rebuild is.
const PROGRESS: &str = "rebuild-progress";
/// Part of the report: what was found and done, for people.
const FOUND: &str = "order-of-text";
/// A `ConfigMap` holds a mebibyte in all.
const LONGEST: usize = 256 * 1024;
/// So many failures have one cause, such as a full disk: more tries would not help.
const ENOUGH: usize = 100;
/// So many names stand in a message; the report has all.
const NAMED: usize = 10;

/// Keeps the orders of text that the old server has. Without them the upgrade is good all the same, and the
/// step says that it could not compare.
pub(super) async fn remember(upgrade: &Upgrade, ip: &str) -> Option<Vec<CollationVersion>> {
    let result = async {
        let orders = collation_versions(&upgrade.superuser, ip, upgrade.old_major).await?;
        let json = serde_json::to_string(&orders).unwrap_or_default();
        upgrade.cluster.write_report(BEFORE, &json).await?;
        // A request of the same name that was deleted may have left its report.
        let nothing = serde_json::to_string(&Progress::default()).unwrap_or_default();
        upgrade.cluster.write_report(PROGRESS, &nothing).await?;
        Ok::<_, StepError>(orders)
    };
    result.await.inspect_err(|error| warn(Step::Preflight, error)).ok()
}

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let reindex = upgrade.plan.reindex;
    if reindex == Reindex::Off {
        say(
            Step::RebuildIndexes,
            format!("the order of text is not compared: {}", names::ANNOTATION_REINDEX),
        );
        return Ok(());
    }
    let before = upgrade.cluster.report(BEFORE).await?;
    let before: Vec<CollationVersion> = before.and_then(|json| serde_json::from_str(&json).ok()).ok_or_else(|| {
        StepError::LeftUndone(vec![
            "the order of text before the upgrade is not known: check indexes on text with amcheck, and REINDEX what fails"
                .to_owned(),
        ])
    })?;
    let progress = upgrade.cluster.report(PROGRESS).await?;
    let progress = progress.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    let ip = upgrade.cluster.wait_ready(&upgrade.plan.to.image).await?;
    let mut work = Work { upgrade, progress, left: Vec::new(), found: Vec::new() };
    let mut all = databases(&work.upgrade.superuser.connect(&ip, "postgres").await?).await?;
    // The order that progress counts in.
    all.sort();
    for database in &all {
        let mut client = work.upgrade.superuser.connect(&ip, database).await?;
        let now = collations_in_use(&client, work.upgrade.new_major).await?;
        let changes = TextChanges::between(&before, &now, work.upgrade.old_major, work.upgrade.new_major);
        if !changes.is_empty() {
            work.look_at(&mut client, database, &changes, reindex).await?;
        }
        if work.progress.left().len() >= ENOUGH {
            work.left.push("the rest was not tried: mend what these have in common".to_owned());
            break;
        }
    }
    work.end(all.len()).await
}

/// What was found and done so far.
struct Work<'a> {
    upgrade: &'a Upgrade,
    progress: Progress,
    /// What a person must do.
    left: Vec<String>,
    /// Everything, for the report.
    found: Vec<String>,
}

impl Work<'_> {
    async fn look_at(
        &mut self,
        client: &mut Client,
        database: &str,
        changes: &TextChanges,
        reindex: Reindex,
    ) -> Result<(), StepError> {
        let dependents = changes.dependents(client).await?;
        let indexes = affected(client, &dependents).await?;
        let to_look_at = manual_follow_ups(client, &dependents).await?;
        // Each major version changes something; only what is in use is worth a line.
        if !(changes.collations.is_empty() && indexes.is_empty() && to_look_at.is_empty()) {
            self.note(format!("database \"{database}\": {changes}; {} indexes depend on it", indexes.len()));
        }
        for what in to_look_at {
            self.note(format!("database \"{database}\": {what}"));
        }
        if reindex == Reindex::Affected {
            self.rebuild_all(client, database, &indexes).await?;
        }
        let misplaced = misrouted_rows(client, &dependents).await?;
        match reindex {
            Reindex::Report => self.list(client, database, changes, &indexes).await?,
            Reindex::Affected => {
                // The server's warning stays as long as something is in the order of before.
                if self.progress.is_clean(database) && misplaced.is_empty() {
                    for statement in
                        refresh_statements(client, self.upgrade.new_major, &changes.collations).await?
                    {
                        refresh(client, &statement).await?;
                        self.note(statement);
                    }
                }
            }
            Reindex::Off => {}
        }
        self.left.extend(misplaced.into_iter().map(|what| format!("database \"{database}\": {what}")));
        Ok(())
    }

    fn note(&mut self, what: String) {
        say(Step::RebuildIndexes, &what);
        self.found.push(what);
    }

    /// Names the indexes, with what a person would run.
    async fn list(
        &mut self,
        client: &Client,
        database: &str,
        changes: &TextChanges,
        indexes: &[Index],
    ) -> Result<(), StepError> {
        if indexes.is_empty() {
            return Ok(());
        }
        let server = self.upgrade.plan.to.pg_version()?;
        self.found.extend(indexes.iter().map(|index| index.statement(server)));
        self.found.extend(refresh_statements(client, self.upgrade.new_major, &changes.collations).await?);
        let report = names::report(&self.upgrade.plan.request);
        self.left.push(format!(
            "{} of database \"{database}\" may miss rows, as rules of text have changed: the statements that \
             rebuild them are under {FOUND} in ConfigMap {report}",
            named(indexes)
        ));
        Ok(())
    }

    async fn rebuild_all(
        &mut self,
        client: &mut Client,
        database: &str,
        indexes: &[Index],
    ) -> Result<(), StepError> {
        end_rebuilds(client).await?;
        for index in indexes {
            let place = Place {
                database: database.to_owned(),
                schema: index.schema.clone(),
                index: index.name.clone(),
            };
            match self.progress.standing(&place) {
                Standing::Tried => continue,
                Standing::Interrupted => drop_leftovers(client, index).await?,
                Standing::Open => {}
            }
            self.progress.begin(place.clone());
            let json = serde_json::to_string(&self.progress).unwrap_or_default();
            self.upgrade.cluster.write_report(PROGRESS, &json).await?;
            match self.rebuild_one(client, index).await? {
                None => say(Step::RebuildIndexes, format!("{database}: {} rebuilt", index.qualified())),
                Some(why) => {
                    tracing::warn!(step = %Step::RebuildIndexes, "{database}: {}: {why}", index.qualified());
                    self.progress.leave(place, why);
                    if self.progress.left().len() >= ENOUGH {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Rebuilds an index and proves it; gives why it is not as it should be.
    async fn rebuild_one(&self, client: &mut Client, index: &Index) -> Result<Option<String>, StepError> {
        let server = self.upgrade.plan.to.pg_version()?;
        if self.upgrade.kind == UpgradeKind::Major {
            let volume = &self.upgrade.volume;
            let free = volume.free().map_err(StepError::volume("measure the free space of the volume"))?;
            if !has_room(free, index.bytes) {
                return Ok(Some(format!(
                    "it has {} MiB, and the volume has {} MiB free: enlarge it, then run {}",
                    index.bytes >> 20,
                    free >> 20,
                    index.statement(server)
                )));
            }
        }
        if let Some(why) = rebuild(client, index, server).await? {
            return Ok(Some(why));
        }
        if index.method != "btree" {
            return Ok(None);
        }
        let failed = |source| ServerError::Execute { action: "check an index with amcheck", source };
        Ok(match check(client, &index.qualified()).await.map_err(failed)? {
            CheckResult::Sound => None,
            CheckResult::Unavailable(why) => {
                say(Step::RebuildIndexes, format!("{} is not checked by amcheck: {why}", index.qualified()));
                None
            }
            CheckResult::Damaged(why) => Some(format!("it was rebuilt, and amcheck says: {why}")),
        })
    }

    /// Tells everything in the report, and what a person must do in the step's own end.
    async fn end(mut self, databases: usize) -> Result<(), StepError> {
        if self.found.is_empty() && self.left.is_empty() {
            say(
                Step::RebuildIndexes,
                format!("no index of the {databases} databases depends on a rule of text that has changed"),
            );
            return Ok(());
        }
        let left = self.progress.left().iter().map(|(place, why)| {
            format!("index {}.{} of database \"{}\": {why}", place.schema, place.index, place.database)
        });
        let left: Vec<String> = left.chain(std::mem::take(&mut self.left)).collect();
        let mut text = self.found.iter().chain(&left).cloned().collect::<Vec<_>>().join("\n");
        text.truncate(text.floor_char_boundary(LONGEST));
        self.upgrade.cluster.write_report(FOUND, &text).await?;
        if left.is_empty() { Ok(()) } else { Err(StepError::LeftUndone(left)) }
    }
}

/// The first few indexes by name, and how many there are.
fn named(indexes: &[Index]) -> String {
    let names: Vec<_> = indexes.iter().take(NAMED).map(Index::qualified).collect();
    let more = if indexes.len() > NAMED { ", …" } else { "" };
    format!("{} indexes ({}{more})", indexes.len(), names.join(", "))
}
