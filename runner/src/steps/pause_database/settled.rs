//! The preflight has rehearsed the definitions that it saw. If clients have changed them since, it is repeated, so that what
//! is upgraded is what was rehearsed, but for the moment between the last look and the stop.

use std::collections::BTreeSet;

use pgops_api::display_chain;
use pgops_api::plan::Step;

use crate::postgres::census::read::Census;
use crate::postgres::client::catalog::databases;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::side_by_side::{connect_in_turn, side_by_side};
use crate::postgres::restore_code::stored::stored_code;
use crate::postgres::volume::settings_files::SettingsFiles;
use crate::steps::{checkpoints, preflight};
use crate::upgrade::{
    CensusBaseline, DatabaseCensus, Finding, StepError, UpgradeContext, log_step, shortened,
};

/// How often the preflight is repeated.
const REPEATS: usize = 3;

/// Makes the checkpoints, and repeats the preflight until it has seen what the databases define now. Fails if that keeps
/// changing.
pub async fn wait(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let mut repeats = 0;
    loop {
        checkpoints::run(upgrade, Step::PauseDatabase).await;
        let changes = changes(upgrade).await?;
        match decide(&changes, repeats) {
            Decision::Settled => {
                // Again during the outage, where an equal copy is not written.
                SettingsFiles::copy(&upgrade.work_dir, &upgrade.volume.data_dir(upgrade.old_major))?;
                return note(upgrade, repeats);
            }
            Decision::KeepsChanging => return Err(StepError::Findings(vec![keeps_changing(&changes)])),
            Decision::Repeat => {
                repeats += 1;
                let text = format!(
                    "definitions have changed since the preflight, which is repeated ({repeats} of at most {REPEATS}): {}",
                    shortened(&changes)
                );
                tracing::warn!(step = %Step::PauseDatabase, "{text}");
                repeat(upgrade).await?;
            }
        }
    }
}

/// What is to be done about what has changed since a preflight that was repeated so often.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Decision {
    Settled,
    Repeat,
    KeepsChanging,
}

fn decide(changes: &[String], repeats: usize) -> Decision {
    match changes {
        [] => Decision::Settled,
        _ if repeats < REPEATS => Decision::Repeat,
        _ => Decision::KeepsChanging,
    }
}

fn keeps_changing(changes: &[String]) -> Finding {
    let text = format!(
        "the definitions change faster than they can be rehearsed: they have changed during the preflight and each of its \
         {REPEATS} repetitions; suspend what changes them (migrations, jobs that create or drop tables or roles) until the \
         upgrade has ended, and apply a new request; changed at last: {}",
        shortened(changes)
    );
    Finding::new("definitions-keep-changing", text)
}

async fn repeat(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let shape = upgrade.facts()?.shape.clone();
    Box::pin(preflight::run(upgrade)).await?;
    if upgrade.facts()?.shape != shape {
        // The new cluster was created to match the earlier shape.
        upgrade.remove_new_cluster()?;
        upgrade.ensure_fresh().await?;
    }
    Ok(())
}

/// Adds to the report that the preflight was repeated.
fn note(upgrade: &mut UpgradeContext, repeats: usize) -> Result<(), StepError> {
    if repeats == 0 {
        return Ok(());
    }
    let text = format!("the preflight was repeated {repeats} times, since clients changed definitions");
    log_step(Step::PauseDatabase, &text);
    if let Some(facts) = &mut upgrade.facts {
        facts.lines.push(text);
        facts.store(&upgrade.work_dir)?;
    }
    Ok(())
}

/// What clients have changed since the preflight looked, as text.
async fn changes(upgrade: &UpgradeContext) -> Result<Vec<String>, StepError> {
    if !upgrade.has_own_findings()? {
        return Ok(vec!["what the preflight has stored on the volume".to_owned()]);
    }
    // Before 13 the catalogs are not compared.
    let Some(baseline) = CensusBaseline::load(&upgrade.work_dir, upgrade.digests.as_ref())? else {
        return Ok(Vec::new());
    };
    let Some(ip) = upgrade.serving_pod(&upgrade.plan.from).await? else {
        tracing::warn!(
            step = %Step::PauseDatabase,
            "the database does not answer: whether definitions have changed since the preflight is not known"
        );
        return Ok(Vec::new());
    };
    let existing = databases(&upgrade.superuser.connect_server(&ip).await?).await?;
    let mut changes = changed_databases(&upgrade.facts()?.databases, &existing);
    let census = Census::of(baseline.columns);
    let compared: Vec<_> =
        baseline.databases.iter().filter(|before| existing.contains(&before.name)).collect();
    let names: Vec<_> = compared.iter().map(|before| before.name.clone()).collect();
    let found = side_by_side(&names, |name| {
        let before = compared.iter().find(|before| before.name == name);
        let (census, ip) = (&census, &ip);
        async move {
            let Some(before) = before else { return Ok::<_, StepError>(Vec::new()) };
            // A client may have dropped an object at this moment.
            let read = read(upgrade, ip, census, before).await;
            Ok(read.unwrap_or_else(|error| vec![format!("\"{name}\" ({})", display_chain(&error))]))
        }
    });
    changes.extend(found.await?.into_iter().flatten());
    // What belongs to the server has changed in every database.
    let mut seen = BTreeSet::new();
    changes.retain(|change| seen.insert(change.clone()));
    Ok(changes)
}

async fn read(
    upgrade: &UpgradeContext,
    ip: &str,
    census: &Census,
    before: &DatabaseCensus,
) -> Result<Vec<String>, ServerError> {
    let client = connect_in_turn(&upgrade.superuser, ip, &before.name).await?;
    let mut changes = before.changes(census, &client).await?;
    let code = stored_code(&client, upgrade.old_major, &before.name).await?;
    changes.extend(before.changed_expressions(&code.digest));
    Ok(changes)
}

fn changed_databases(before: &[String], now: &[String]) -> Vec<String> {
    let text = |name: &String, change: &str| format!("database \"{name}\" {change}");
    let created = now.iter().filter(|name| !before.contains(name)).map(|name| text(name, "created"));
    let missing = before.iter().filter(|name| !now.contains(name)).map(|name| text(name, "missing"));
    created.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn preflight_is_repeated_a_limited_number_of_times() {
        let changes = names(&["s.t (tables) created in \"shop\""]);
        assert_eq!(decide(&[], 0), Decision::Settled);
        assert_eq!(decide(&changes, 0), Decision::Repeat);
        assert_eq!(decide(&changes, REPEATS - 1), Decision::Repeat);
        assert_eq!(decide(&changes, REPEATS), Decision::KeepsChanging);
        assert_eq!(decide(&[], REPEATS), Decision::Settled);
    }

    #[test]
    fn refusal_names_what_has_changed_and_what_to_do() {
        let finding = keeps_changing(&names(&["s.t (tables) created in \"shop\""]));
        assert!(finding.blocks() && finding.text.contains("suspend what changes them"), "{finding}");
        assert!(finding.text.ends_with(": s.t (tables) created in \"shop\""), "{finding}");
    }

    #[test]
    fn created_and_dropped_databases_are_changes() {
        assert_eq!(changed_databases(&names(&["a", "b"]), &names(&["a", "b"])), [""; 0]);
        assert_eq!(
            changed_databases(&names(&["a", "b"]), &names(&["a", "c"])),
            ["database \"c\" created", "database \"b\" missing"]
        );
    }
}
