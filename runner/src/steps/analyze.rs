//! `Analyze`: collects planner statistics, which `pg_upgrade` does not carry before 18; plans without them are bad.
//!
//! Each database and each table is on its own: what fails is named, and the others get their statistics.

mod analysis;
mod comparison;

use std::cell::{Cell, RefCell};

use futures::future::try_join_all;
use pgops_api::plan::Step;

use crate::postgres::client::catalog::databases;
use crate::postgres::client::error::ServerError;
use crate::postgres::statistics::{SharedCatalogs, Stage, stages};
use crate::upgrade::{MAX_POD_WAIT, StepError, UpgradeContext, log_step};
use analysis::{Analysis, Database};

/// How many databases are analyzed at a time: one may have a single large table, which occupies a single session.
const DATABASES_AT_A_TIME: usize = 2;

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let ip = upgrade.wait_serving_pod(&upgrade.plan.to, MAX_POD_WAIT).await?;
    let names = databases(&upgrade.superuser.connect_server(&ip).await?).await?;
    // Those of the server's container: the node may have many more.
    let limit = upgrade.cluster.server_processors().await;
    let jobs = limit.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let at_a_time = DATABASES_AT_A_TIME.min(names.len()).max(1);
    let analysis = Analysis::new(upgrade, ip.clone(), (jobs / at_a_time).max(1));
    let found = RefCell::new(Vec::new());
    for_each(&names, at_a_time, async |name| {
        let is_first = names.first() == Some(name);
        let shared = if is_first { SharedCatalogs::Included } else { SharedCatalogs::Excluded };
        let tables = analysis.tables(name, shared).await?;
        found.borrow_mut().extend(tables.map(|tables| Database { name: name.clone(), tables }));
        Ok(())
    })
    .await?;
    let found = found.into_inner();
    for stage in stages(upgrade.new_major) {
        log_step(Step::Analyze, describe(*stage, found.len()));
        for_each(&found, at_a_time, async |database| analysis.analyze(database, *stage).await).await?;
    }
    let left = analysis.into_left();
    comparison::report(upgrade, &ip).await;
    if left.is_empty() { Ok(()) } else { Err(StepError::LeftUndone(left)) }
}

/// Does something with each item, with up to `at_a_time` of them at a time.
async fn for_each<T>(
    items: &[T],
    at_a_time: usize,
    action: impl AsyncFn(&T) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    let next = Cell::new(0);
    let worker = async || {
        while let Some(item) = items.get(next.replace(next.get() + 1)) {
            action(item).await?;
        }
        Ok(())
    };
    try_join_all((0..at_a_time.min(items.len())).map(|_| worker())).await.map(drop)
}

fn describe(stage: Stage, databases: usize) -> String {
    match stage {
        Stage::Coarse(target) => {
            format!("coarse statistics (default_statistics_target = {target}), databases: {databases}")
        }
        Stage::Full => format!("full statistics, databases: {databases}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_database_is_taken_once() {
        let seen = RefCell::new(Vec::new());
        let numbers: Vec<u32> = (0..7).collect();
        for_each(&numbers, 2, async |number| {
            tokio::task::yield_now().await;
            seen.borrow_mut().push(*number);
            Ok(())
        })
        .await
        .unwrap();
        let mut seen = seen.into_inner();
        seen.sort_unstable();
        assert_eq!(seen, numbers);
        for_each(&[] as &[u32], 2, async |_| Ok(())).await.unwrap();
    }
}
