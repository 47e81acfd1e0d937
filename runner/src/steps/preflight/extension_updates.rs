//! Tries on the scratch server the updates of extensions that follow the outage, so that one that fails is known before it.
//!
//! All databases have been compared by then, so the scripts may change them. They run in the isolation of the rehearsal, and on a
//! server in its usual mode: in binary upgrade mode no script can create a table, a view or a type.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use pgops_api::plan::Step;
use tokio_postgres::Client;

use super::rehearsal_source::RehearsalSource;
use crate::postgres::client::database_error::DatabaseError;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::extensions::{NotUpdated, Outdated, lacks_cascade, outdated, update_options};
use crate::postgres::client::inventory::Extension;
use crate::postgres::extension::state::{ExtensionState, states};
use crate::postgres::program::offer::Offer;
use crate::postgres::server::scratch::Scratch;
use crate::postgres::server_settings::ServerSettings;
use crate::upgrade::{Finding, Named, StepError, UpgradeContext, log_step, warn_step};

/// How long updates are tried: there may be hundreds of databases.
const LIMIT: Duration = Duration::from_mins(1);
/// How long one may take. The tables of the scratch server are empty.
const STATEMENT_TIMEOUT: &str = "-c statement_timeout=30s";

/// A note for each update that will be left to an operator. The scratch server is stopped, before and after.
pub async fn notes(
    upgrade: &UpgradeContext,
    source: &RehearsalSource<'_>,
    scratch: &Scratch,
    settings: &ServerSettings,
) -> Result<Vec<Finding>, StepError> {
    let databases = concerned(&source.inventory.extensions, source.offer);
    if databases.is_empty() {
        return Ok(Vec::new());
    }
    let mut left = Vec::new();
    // The upgrade succeeds without an update: what hinders the trial fails nothing.
    if let Err(error) = try_all(upgrade, source, scratch, settings, &databases, &mut left).await {
        warn_step(Step::Preflight, &error);
    }
    match stop(scratch).await {
        // Nothing runs any more in a container that has ended.
        Err(error) if error.lost_container().is_some() => warn_step(Step::Preflight, &error),
        stopped => stopped?,
    }
    Ok(findings(left))
}

async fn stop(scratch: &Scratch) -> Result<(), StepError> {
    scratch.stop().await?;
    // Whatever else the scripts and the code of users that they call have started.
    Ok(scratch.programs().agent.kill_all().await?)
}

/// The databases with an extension that is updated after the outage.
fn concerned<'a>(installed: &'a BTreeSet<Extension>, offer: &Offer) -> BTreeSet<&'a str> {
    let updated = installed.iter().filter(|extension| is_updated(offer, &extension.name, &extension.version));
    updated.map(|extension| extension.database.as_str()).collect()
}

/// Whether scripts of the target image lead to another version. If none do, the note `extension-version` says so.
fn is_updated(offer: &Offer, name: &str, version: &str) -> bool {
    offer
        .default_version(name)
        .is_some_and(|target| target != version && offer.has_update_path(name, version, target))
}

async fn try_all(
    upgrade: &UpgradeContext,
    source: &RehearsalSource<'_>,
    scratch: &Scratch,
    settings: &ServerSettings,
    databases: &BTreeSet<&str>,
    left: &mut Vec<NotUpdated>,
) -> Result<(), StepError> {
    scratch.start_as_usual(upgrade.new_major, source.inventory.largest_database, settings).await?;
    let began = Instant::now();
    for (number, database) in databases.iter().enumerate() {
        if began.elapsed() > LIMIT {
            log_step(
                Step::Preflight,
                format!(
                    "updates of extensions were tried in {number} of {} databases, which took {} s; the others were not tried",
                    databases.len(),
                    LIMIT.as_secs()
                ),
            );
            break;
        }
        match try_updates(upgrade, source.offer, scratch, database, left).await {
            // The rehearsal may have dropped the database to make room for others.
            Err(error) if error.is_permanent() => warn_step(Step::Preflight, &error),
            tried => tried?,
        }
    }
    Ok(())
}

/// Tries the updates of one restored database, and adds those that will be left to an operator to `left`.
async fn try_updates(
    upgrade: &UpgradeContext,
    offer: &Offer,
    scratch: &Scratch,
    database: &str,
    left: &mut Vec<NotUpdated>,
) -> Result<(), ServerError> {
    let client = scratch.connect(database).await?;
    let options = format!("{} {STATEMENT_TIMEOUT}", update_options(upgrade.new_major));
    for extension in outdated(&client, upgrade.new_major).await? {
        if !is_updated(offer, &extension.name, &extension.installed) {
            continue;
        }
        if let Some(why) = extension.manual_update() {
            left.push(NotUpdated { database: database.to_owned(), extension, why });
            continue;
        }
        let session = scratch.connect_with(database, options.clone()).await?;
        let Err(error) = session.batch_execute(&extension.statement()).await else { continue };
        let error = DatabaseError::from(error);
        if !error.is_permanent() {
            warn_step(Step::Preflight, &error);
            continue;
        }
        let mut why = extension.after_failure(&error, upgrade.extensions.get(&extension.name));
        if lacks_cascade(&error) {
            why.push_str(&dependents(&client, &extension.name).await);
        }
        left.push(NotUpdated { database: database.to_owned(), extension, why });
    }
    Ok(())
}

/// What depends on objects of an extension.
async fn dependents(client: &Client, extension: &str) -> String {
    match states(client, &[extension.to_owned()]).await {
        Ok(states) => states.iter().map(named).collect(),
        Err(error) => {
            warn_step(Step::Preflight, &error);
            String::new()
        }
    }
}

fn named(state: &ExtensionState) -> String {
    let ExtensionState { dependents, some_dependents, .. } = state;
    let more = dependents.saturating_sub(some_dependents.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("; objects of it are used by {}{more}", some_dependents.join(", "))
}

/// One note for the same extension, version and reason in any number of databases.
fn findings(left: Vec<NotUpdated>) -> Vec<Finding> {
    let mut grouped: BTreeMap<[String; 4], Named> = BTreeMap::new();
    for NotUpdated { database, extension, why } in left {
        let Outdated { name, installed, default, .. } = extension;
        grouped.entry([name, installed, default, why]).or_default().add(format!("\"{database}\""));
    }
    let each = grouped.into_iter().map(|([name, installed, default, why], databases)| {
        let text = format!(
            "extension {name} {installed} in database {databases}: pgops will not be able to update it to {default} after the \
             outage: {why}"
        );
        Finding::note("extension-update-fails", text)
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::client::extensions::Script;

    fn extension(name: &str, version: &str, database: &str) -> Extension {
        Extension { name: name.into(), version: version.into(), database: database.into() }
    }

    fn not_updated(database: &str, why: &str) -> NotUpdated {
        let extension = Outdated {
            name: "hstore".into(),
            installed: "1.4".into(),
            default: "1.8".into(),
            script: Script::Superuser,
        };
        NotUpdated { database: database.into(), extension, why: why.into() }
    }

    #[test]
    fn update_is_tried_where_scripts_lead_to_another_version() {
        let offer = Offer {
            scripts: ["hstore--1.4--1.8"].map(Into::into).into(),
            versions: [("hstore", "1.8"), ("pgaudit", "17.1")]
                .map(|(name, version)| (name.to_owned(), Some(version.to_owned())))
                .into(),
        };
        let installed = [
            extension("hstore", "1.4", "shop"),
            extension("hstore", "1.8", "new"),
            extension("pgaudit", "1.7", "audit"),
            extension("adminpack", "2.1", "old"),
        ];
        assert_eq!(concerned(&installed.into(), &offer), BTreeSet::from(["shop"]));
    }

    #[test]
    fn update_that_fails_is_noted_with_reason_and_databases_before_the_outage() {
        let why = "ERROR: cannot drop operator @(hstore,hstore)";
        let notes = findings(vec![not_updated("a", why), not_updated("b", why), not_updated("c", "other")]);
        let texts: Vec<_> = notes.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2);
        assert!(notes.iter().all(|note| !note.blocks()));
        let expected = "[extension-update-fails] note: extension hstore 1.4 in database \"a\", \"b\": pgops will not be able to \
                        update it to 1.8 after the outage: ERROR: cannot drop operator @(hstore,hstore)";
        assert_eq!(texts[0], expected);
    }

    #[test]
    fn update_that_fails_names_some_of_what_uses_the_extension() {
        let state = ExtensionState {
            dependents: 3,
            some_dependents: vec!["view public.calls".into()],
            ..ExtensionState::default()
        };
        assert_eq!(named(&state), "; objects of it are used by view public.calls and 2 more");
    }

    #[test]
    fn update_that_fails_is_documented_in_the_findings_page() {
        assert!(include_str!("../../../../docs/reference/findings.md").contains("`extension-update-fails`"));
    }
}
