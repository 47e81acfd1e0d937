//! Finds the affected indexes of each database, rebuilds and proves them, and reports what is left.

use pgops_api::plan::{Reindex, Step, UpgradeKind};
use tokio_postgres::Client;

use super::partitions::{self, Indexes};
use crate::postgres::client::error::ServerError;
use crate::postgres::collation::amcheck::{self, CheckResult};
use crate::postgres::collation::changes::RuleChanges;
use crate::postgres::collation::dependents::Dependents;
use crate::postgres::collation::follow_ups::manual_follow_ups;
use crate::postgres::collation::indexes::{Index, affected};
use crate::postgres::collation::rebuild::{drop_leftovers, end_rebuilds, has_room, rebuild};
use crate::postgres::collation::refresh::{refresh, refresh_statements};
use crate::postgres::meaning::search_path::{indexes_in_need_of_a_path, maintenance_is_confined};
use crate::upgrade::rebuild_progress::{IndexRef, PROGRESS, Progress, RebuildStatus};
use crate::upgrade::{StepError, UpgradeContext, log_step};

/// Part of the report: what was found and done, for users.
const FOUND: &str = "order-of-text";
/// A `ConfigMap` holds a mebibyte in all.
const MAX_REPORT_BYTES: usize = 256 * 1024;
/// This many failures have one cause, such as a full disk: more attempts would not help.
pub const MAX_FAILURES: usize = 100;
/// How many indexes a message names; the report has all.
const MAX_NAMED: usize = 10;

/// What was found and done so far.
pub struct Rebuild<'a> {
    pub(super) upgrade: &'a UpgradeContext,
    progress: Progress,
    /// What the operator must do.
    follow_ups: Vec<String>,
    /// Everything, for the report.
    found: Vec<String>,
}

impl<'a> Rebuild<'a> {
    pub fn new(upgrade: &'a UpgradeContext, progress: Progress) -> Self {
        Self { upgrade, progress, follow_ups: Vec::new(), found: Vec::new() }
    }

    pub fn has_too_many_failures(&self) -> bool {
        self.progress.failures().len() >= MAX_FAILURES
    }

    pub fn add_follow_up(&mut self, text: String) {
        self.follow_ups.push(text);
    }

    /// Handles the database that `client` is connected to; so is `separate`, in which code of users may run. The indexes in `due`
    /// are rebuilt with the others: progress is counted in one order.
    pub async fn process(
        &mut self,
        client: &mut Client,
        separate: Client,
        database: &str,
        changes: &RuleChanges,
        due: Vec<Index>,
        reindex: Reindex,
    ) -> Result<(), StepError> {
        let dependents = Dependents::of(changes, client, self.upgrade.new_major).await?;
        let indexes = affected(client, &dependents).await?;
        let (unsafe_to_rebuild, indexes) = self.divide(client, indexes).await?;
        let manual = manual_follow_ups(client, &dependents).await?;
        // Each major version changes something; only what is in use is worth a line.
        if !(changes.collations.is_empty() && indexes.is_empty() && manual.is_empty()) {
            self.note(format!("database \"{database}\": {changes}; {} indexes depend on it", indexes.len()));
        }
        for what in manual {
            self.note(format!("database \"{database}\": {what}"));
        }
        if reindex == Reindex::Affected {
            self.rebuild_all(client, database, &merged(indexes.clone(), due)).await?;
        }
        self.leave(database, &unsafe_to_rebuild);
        let is_clean = self.progress.is_clean(database) && unsafe_to_rebuild.is_empty();
        let rebuilt = if is_clean { Indexes::Rebuilt } else { Indexes::Left };
        let rows = partitions::repair(self.upgrade, client, separate, database, &dependents, rebuilt).await?;
        for moved in rows.moved {
            self.note(format!("database \"{database}\": {moved}"));
        }
        match reindex {
            Reindex::Report => self.list(client, database, changes, &indexes).await?,
            Reindex::Affected => {
                // The server's warning stays as long as anything has the previous order.
                if rebuilt == Indexes::Rebuilt && rows.left.is_empty() {
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
        self.follow_ups.extend(rows.left.into_iter().map(|what| format!("database \"{database}\": {what}")));
        Ok(())
    }

    /// Tells those that would lose rows if they were rebuilt from the others.
    pub(super) async fn divide(
        &self,
        client: &Client,
        indexes: Vec<Index>,
    ) -> Result<(Vec<Index>, Vec<Index>), StepError> {
        let is_confined = maintenance_is_confined(self.upgrade.old_major, self.upgrade.new_major);
        if indexes.is_empty() || !is_confined {
            return Ok((Vec::new(), indexes));
        }
        let in_need = indexes_in_need_of_a_path(client).await?;
        Ok(indexes.into_iter().partition(|index| in_need.contains(&index.oid)))
    }

    pub(super) fn leave(&mut self, database: &str, indexes: &[Index]) {
        if !indexes.is_empty() {
            self.add_follow_up(format!(
                "database \"{database}\": {} may miss rows, and were not rebuilt: functions in them find what they name by the search \
                 path of users, which REINDEX does not have since 17. ALTER FUNCTION … SET search_path = …, then REINDEX INDEX \
                 CONCURRENTLY them",
                named(indexes)
            ));
        }
    }

    pub(super) fn note(&mut self, what: String) {
        log_step(Step::RebuildIndexes, &what);
        self.found.push(what);
    }

    /// Names the indexes, with the statements for the operator to run.
    async fn list(
        &mut self,
        client: &Client,
        database: &str,
        changes: &RuleChanges,
        indexes: &[Index],
    ) -> Result<(), StepError> {
        if indexes.is_empty() {
            return Ok(());
        }
        let server = self.upgrade.plan.to.pg_version()?;
        self.found.extend(indexes.iter().map(|index| index.statement(server)));
        self.found.extend(refresh_statements(client, self.upgrade.new_major, &changes.collations).await?);
        let report = self.upgrade.cluster.report_name();
        self.add_follow_up(format!(
            "{} of database \"{database}\" may miss rows, since rules of text or time have changed: the statements that rebuild \
             them are under {FOUND} in ConfigMap {report}",
            named(indexes)
        ));
        Ok(())
    }

    /// Rebuilds these indexes, which are in the order that progress is counted in.
    pub async fn rebuild_all(
        &mut self,
        client: &mut Client,
        database: &str,
        indexes: &[Index],
    ) -> Result<(), StepError> {
        end_rebuilds(client).await?;
        if !indexes.is_empty() {
            // Before the first one: whatever ends this step, it is known what had to be done.
            let names: Vec<_> = indexes.iter().map(Index::qualified).collect();
            self.found.push(format!("database \"{database}\": to be rebuilt: {}", names.join(", ")));
            self.write_found(&[]).await?;
        }
        for index in indexes {
            let reference = IndexRef {
                database: database.to_owned(),
                schema: index.schema.clone(),
                index: index.name.clone(),
            };
            match self.progress.status(&reference) {
                RebuildStatus::Tried => continue,
                RebuildStatus::Interrupted => drop_leftovers(client, index).await?,
                RebuildStatus::Open => {}
            }
            self.progress.start(reference.clone());
            let json = serde_json::to_string(&self.progress).unwrap_or_default();
            self.upgrade.cluster.write_report(PROGRESS, &json).await?;
            match self.rebuild_one(client, index).await? {
                None => log_step(Step::RebuildIndexes, format!("{database}: {} rebuilt", index.qualified())),
                Some(why) => {
                    tracing::warn!(step = %Step::RebuildIndexes, "{database}: {}: {why}", index.qualified());
                    self.progress.record_failure(reference, why);
                    if self.has_too_many_failures() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Rebuilds an index and proves it; returns what is wrong with it, if anything.
    async fn rebuild_one(&self, client: &mut Client, index: &Index) -> Result<Option<String>, StepError> {
        let server = self.upgrade.plan.to.pg_version()?;
        if self.upgrade.kind == UpgradeKind::Major {
            let free = self.upgrade.volume.space()?.free;
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
        // The check takes the index by its name.
        if index.method != "btree" || !index.is_utf8() {
            return Ok(None);
        }
        let failed = ServerError::execute("check an index with amcheck");
        Ok(match amcheck::check(client, &index.qualified()).await.map_err(failed)? {
            CheckResult::Sound => None,
            CheckResult::Unavailable(why) => {
                log_step(
                    Step::RebuildIndexes,
                    format!("{} is not checked by amcheck: {why}", index.qualified()),
                );
                None
            }
            CheckResult::Damaged(why) => Some(format!("it was rebuilt, and amcheck reports: {why}")),
        })
    }

    /// Writes everything to the report; fails with what the operator must do, if anything.
    pub async fn finish(mut self, databases: usize) -> Result<(), StepError> {
        if self.found.is_empty() && self.follow_ups.is_empty() {
            log_step(
                Step::RebuildIndexes,
                format!("no index of the {databases} databases depends on a change of rules of text or time"),
            );
            return Ok(());
        }
        let failures = self.progress.failures().iter().map(|(index, why)| {
            format!("index {}.{} of database \"{}\": {why}", index.schema, index.index, index.database)
        });
        let left: Vec<String> = failures.chain(std::mem::take(&mut self.follow_ups)).collect();
        self.write_found(&left).await?;
        if left.is_empty() { Ok(()) } else { Err(StepError::LeftUndone(left)) }
    }

    async fn write_found(&self, left: &[String]) -> Result<(), StepError> {
        let mut text = self.found.iter().chain(left).cloned().collect::<Vec<_>>().join("\n");
        text.truncate(text.floor_char_boundary(MAX_REPORT_BYTES));
        Ok(self.upgrade.cluster.write_report(FOUND, &text).await?)
    }
}

/// Both in one order, each index once.
fn merged(mut indexes: Vec<Index>, others: Vec<Index>) -> Vec<Index> {
    indexes.extend(others);
    indexes.sort();
    // The size of an index may have been measured twice.
    indexes.dedup_by(|one, other| one.qualified() == other.qualified());
    indexes
}

/// The first few indexes by name, and how many there are.
pub(super) fn named(indexes: &[Index]) -> String {
    let names: Vec<_> = indexes.iter().take(MAX_NAMED).map(Index::qualified).collect();
    let more = if indexes.len() > MAX_NAMED { ", …" } else { "" };
    format!("{} indexes ({}{more})", indexes.len(), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_rebuilt_once_and_in_order() {
        let index = |name: &str, bytes| Index {
            schema: "public".into(),
            name: name.into(),
            table: "public.words".into(),
            table_oid: 16400,
            method: "btree".into(),
            bytes,
            excludes: false,
            is_system: false,
            oid: 16401,
        };
        let merged = merged(vec![index("a", 8192), index("c", 8192)], vec![index("b", 0), index("c", 16384)]);
        let names: Vec<_> = merged.iter().map(|index| index.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }
}
