//! An excerpt of the attacks on the superuser's rights; `make escalation` runs all of them.

use anyhow::ensure;
use pgops_e2e::differential::Pair;
use pgops_e2e::escalation::{Case, all_cases, attack_all};
use pgops_e2e::with_namespace;

const PAIR: Pair = Pair { from: "13.16", to: "17.11" };

fn cases(names: &[&str]) -> anyhow::Result<Vec<&'static Case>> {
    let cases: Vec<_> = all_cases().filter(|case| names.contains(&case.name)).collect();
    ensure!(cases.len() == names.len(), "not all of {names:?} exist");
    Ok(cases)
}

#[tokio::test]
async fn code_that_the_restore_would_run_as_superuser_ends_the_request() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        attack_all(ns, PAIR, &cases(&["partition_key", "any_in_partition_key", "operator_class"])?).await
    })
    .await
}

#[tokio::test]
async fn code_behind_a_superusers_function_ends_the_request() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        attack_all(ns, PAIR, &cases(&["wrapped_in_index_of_foreign_key", "wrapped_in_index"])?).await
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn code_that_no_restore_runs_is_noted_and_gains_no_rights() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        attack_all(ns, PAIR, &cases(&["check", "event_trigger", "functions_of_columns", "search_path"])?)
            .await
    })
    .await
}
