//! Rows that belong to another partition now: they are found, and moved if the request says so.

use pgops_api::plan::{Repartition, Step, UpgradeKind};
use tokio_postgres::Client;

use crate::postgres::collation::dependents::Dependents;
use crate::postgres::collation::misrouted::{Bounds, Misrouted, Partition, Refusal, Rows, State, sentences};
use crate::postgres::collation::partitions::misrouted_rows;
use crate::postgres::collation::rebuild::has_room;
use crate::postgres::collation::repartition;
use crate::upgrade::{MAX_POD_WAIT, StepError, UpgradeContext, log_step};

/// Whether the indexes of a database are right, as far as they are known to depend on a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Indexes {
    Rebuilt,
    /// Some could not be rebuilt.
    Left,
}

/// What was found in the partitions of a database.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was done.
    pub moved: Vec<String>,
    /// What the operator must do.
    pub left: Vec<String>,
}

/// Handles the database that `client` is connected to; so is `separate`, in which code of users may run.
pub async fn repair(
    upgrade: &UpgradeContext,
    client: &Client,
    separate: Client,
    database: &str,
    dependents: &Dependents,
    indexes: Indexes,
) -> Result<Outcome, StepError> {
    let misrouted = misrouted_rows(client, separate, dependents).await?;
    let mut outcome = Outcome::default();
    if misrouted.is_empty() {
        return Ok(outcome);
    }
    // The server moves rows of partitions only.
    let is_partition = |it: &Misrouted| it.partition.bounds == Bounds::Partition;
    let (misrouted, of_children): (Vec<_>, Vec<_>) = misrouted.into_iter().partition(is_partition);
    let mut left = match (upgrade.plan.repartition, indexes) {
        (Repartition::Report, _) => misrouted,
        (Repartition::Move, Indexes::Left) => misrouted.into_iter().map(refuse).collect(),
        (Repartition::Move, Indexes::Rebuilt) => {
            move_all(upgrade, database, misrouted, &mut outcome.moved).await?
        }
    };
    left.extend(of_children);
    outcome.left = sentences(&left);
    Ok(outcome)
}

/// A unique index that misses rows would admit duplicates of those that are moved.
fn refuse(misrouted: Misrouted) -> Misrouted {
    match misrouted {
        Misrouted { partition, state: State::Counted(rows) } => {
            Misrouted { partition, state: State::Left(rows, Refusal::IndexesLeft) }
        }
        unchecked => unchecked,
    }
}

/// Moves what can be moved; returns the rest.
async fn move_all(
    upgrade: &UpgradeContext,
    database: &str,
    misrouted: Vec<Misrouted>,
    moved: &mut Vec<String>,
) -> Result<Vec<Misrouted>, StepError> {
    let ip = upgrade.wait_serving_pod(&upgrade.plan.to, MAX_POD_WAIT).await?;
    let session = repartition::session(upgrade.superuser.connect(&ip, database).await?).await?;
    let mut left = Vec::new();
    for Misrouted { partition, state } in misrouted {
        let State::Counted(rows) = state else {
            left.push(Misrouted { partition, state });
            continue;
        };
        if let Some(refusal) = without_room(upgrade, &rows)? {
            left.push(Misrouted { partition, state: State::Left(rows, refusal) });
            continue;
        }
        log_step(Step::RebuildIndexes, plan(database, &partition, &rows));
        let result = repartition::move_rows(&session, &partition, &rows, upgrade.new_major).await?;
        moved.push(format!(
            "{} rows of {} were moved to their partition of {}",
            result.rows, partition.name, partition.root
        ));
        left.extend(result.left.map(|state| Misrouted { partition, state }));
    }
    Ok(left)
}

fn plan(database: &str, partition: &Partition, rows: &Rows) -> String {
    format!(
        "{database}: {} of {} rows of {} belong to another partition of {}; they are moved",
        rows.misrouted, rows.all, partition.name, partition.root
    )
}

/// A minor upgrade has no volume to look at.
fn without_room(upgrade: &UpgradeContext, rows: &Rows) -> Result<Option<Refusal>, StepError> {
    if upgrade.kind == UpgradeKind::Minor {
        return Ok(None);
    }
    let (bytes, free) = (rows.misrouted_bytes(), upgrade.volume.space()?.free);
    Ok((!has_room(free, bytes)).then_some(Refusal::NoRoom { bytes, free }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::collation::misrouted::Unchecked;

    #[test]
    fn rows_are_not_moved_while_an_index_may_admit_duplicates() {
        let misrouted = |state| Misrouted { partition: Partition::default(), state };
        let rows = Rows { misrouted: 3, ..Rows::default() };
        let refused = refuse(misrouted(State::Counted(rows.clone())));
        assert_eq!(refused, misrouted(State::Left(rows, Refusal::IndexesLeft)));
        let unchecked = misrouted(State::Unchecked(Unchecked::ForeignCode));
        assert_eq!(refuse(unchecked.clone()), unchecked);
    }
}
