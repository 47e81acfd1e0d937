//! The rehearsal: a server of the target version is made in the worker's own file system, and the schema
//! of every database is restored into it. What `pg_upgrade` would stumble over there, after the old server
//! was stopped and past all that its `--check` looks at, is found while the database serves.

use std::time::{Duration, Instant};

use pgops_api::plan::Step;

use super::super::world::warn;
use super::super::{Finding, StepError, Upgrade};
use super::image::has_library;
use super::{configuration, left_behind, rules_of_text, volume};
use crate::postgres::client::catalog::{count_tables, has_room_for_locks};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::collation::versions::CollationVersion;
use crate::postgres::program::command::CommandError;
use crate::postgres::program::reported_error::ReportedError;
use crate::postgres::schema_rehearsal::{RehearsalResult, SchemaSource, database, drop_database, globals};
use crate::postgres::server::scratch::{Scratch, ScratchError};

/// What came of it.
#[derive(Default)]
pub(super) struct Rehearsed {
    pub findings: Vec<Finding>,
    /// The success in one line and how long it took, if all of it was one.
    pub success: Option<(String, Duration)>,
}

/// Rehearses, and leaves nothing behind. `orders` are those of text before, if they are known.
pub(super) async fn rehearse(
    upgrade: &Upgrade,
    ip: &str,
    inventory: &Inventory,
    orders: Option<&[CollationVersion]>,
    drop_column_option: bool,
) -> Result<Rehearsed, StepError> {
    let installation = upgrade.new_installation()?;
    let directory = Upgrade::scratch().join("rehearsal");
    let scratch = match Scratch::init(&installation, &directory, &inventory.shape).await {
        Ok(scratch) => scratch,
        Err(ScratchError::Command(CommandError::Ended { tail, .. }))
            if ReportedError::parse(&tail).is_missing_locale() =>
        {
            let findings =
                vec![finding("template0", &RehearsalResult::NotRestored(ReportedError::parse(&tail)))];
            return Ok(Rehearsed { findings: findings.into_iter().flatten().collect(), success: None });
        }
        Err(error) => return Err(error.into()),
    };
    let source = SchemaSource {
        new: &installation,
        superuser: &upgrade.superuser,
        ip,
        install_user: &inventory.shape.install_user,
        drop_column_option,
    };
    let result = perform(upgrade, &source, &scratch, inventory, orders).await;
    scratch.remove().await?;
    let mut rehearsed = result?;
    // The libraries that the image lacks have a finding each already.
    rehearsed.findings.retain(|finding| {
        let told = |(library, _): &(String, String)| {
            finding.text.contains(&format!("\"{library}\"")) && !has_library(&installation, library)
        };
        !inventory.libraries.iter().any(told)
    });
    Ok(rehearsed)
}

async fn perform(
    upgrade: &Upgrade,
    source: &SchemaSource<'_>,
    scratch: &Scratch,
    inventory: &Inventory,
    orders: Option<&[CollationVersion]>,
) -> Result<Rehearsed, StepError> {
    let began = Instant::now();
    let mut rehearsed = Rehearsed::default();
    let settings = configuration::look(upgrade, scratch, inventory).await?;
    rehearsed.findings.extend(volume::left_in_tablespaces(upgrade, scratch).await?);
    let left_behind = left_behind::notes(&upgrade.volume.pgdata(upgrade.old_major), &scratch.pgdata());
    rehearsed
        .findings
        .extend(left_behind.map_err(StepError::volume("compare the data directory with a new one"))?);
    scratch.start(upgrade.new_major, inventory.largest_database).await?;
    rehearsed.findings.extend(settings.in_sessions(scratch, &inventory.settings_for_all).await?);
    rehearsed.findings.extend(settings.findings);
    // Without its roles no database can be restored.
    let roles = finding(ROLES, &globals(source, scratch).await?);
    if roles.is_some() {
        rehearsed.findings.extend(roles);
        return Ok(rehearsed);
    }
    let (mut done, mut count) = (0, 0);
    let databases = in_order(&inventory.databases);
    let mut dependents = Vec::new();
    for &name in &databases {
        if !has_room_for_locks(&upgrade.superuser.connect(source.ip, name).await?).await? {
            rehearsed.findings.push(too_many_tables(name));
            continue;
        }
        let found = finding(name, &database(source, scratch, name).await?);
        if found.is_none() {
            done += 1;
            let restored = scratch.connect(name).await?;
            count += count_tables(&restored).await?;
            if let Some(orders) = orders {
                match rules_of_text::dependents(upgrade, source.ip, &restored, orders, name).await {
                    Ok(found) => dependents.extend(found),
                    // It is looked for again after the outage.
                    Err(error) => warn(Step::Preflight, &error),
                }
            }
        }
        rehearsed.findings.extend(found);
        if let Err(error) = drop_database(scratch, name).await {
            warn(Step::Preflight, &error);
        }
    }
    rehearsed.findings.extend(rules_of_text::note(&dependents, upgrade.plan.reindex));
    if done == databases.len() {
        let took = began.elapsed();
        let line = format!(
            "schema of {done} databases restored into a scratch {} server: {count} tables, {:.1} s",
            upgrade.plan.to.version,
            took.as_secs_f64()
        );
        rehearsed.success = Some((line, took));
    }
    Ok(rehearsed)
}

/// What the roles are called where a database's name stands otherwise.
const ROLES: &str = "(roles of the server)";

/// The template first, from which the others are made.
fn in_order(databases: &[String]) -> Vec<&str> {
    let mut names: Vec<_> =
        databases.iter().map(String::as_str).filter(|name| *name != "template0").collect();
    names.sort_by_key(|name| *name != "template1");
    names
}

fn finding(database: &str, verdict: &RehearsalResult) -> Option<Finding> {
    let (id, refusal, remedy) = match verdict {
        RehearsalResult::Passed => return None,
        RehearsalResult::NotDumped(refusal) if refusal.is_lock_timeout() => (
            "schema-locked",
            refusal,
            "somebody holds a lock on a table: apply a new request when that has ended",
        ),
        RehearsalResult::NotDumped(refusal) => (
            "schema-dump",
            refusal,
            "the definition cannot be read, and pg_upgrade could not either: mend or drop it",
        ),
        RehearsalResult::NotRestored(refusal) if refusal.is_missing_locale() => {
            ("locale", refusal, "the target image lacks a locale: use one that has it")
        }
        RehearsalResult::NotRestored(refusal) => (
            "schema-restore",
            refusal,
            "the target version refuses this definition: change or drop it; it is the first of its database, and there \
             may be more",
        ),
    };
    Some(Finding::new(id, format!("database \"{database}\": {refusal}: {remedy}")))
}

fn too_many_tables(database: &str) -> Finding {
    Finding::note(
        "schema-not-rehearsed",
        format!(
            "database \"{database}\" has so many tables that reading its schema would take most of the server's room for \
             locks away from others: raise max_locks_per_transaction to have it rehearsed"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(error: &str) -> ReportedError {
        ReportedError { message: error.into(), statement: Some("CREATE VIEW v AS".into()) }
    }

    #[test]
    fn the_template_comes_first_and_template0_not_at_all() {
        let names = ["a", "postgres", "template0", "template1"].map(ToOwned::to_owned);
        assert_eq!(in_order(&names), ["template1", "a", "postgres"]);
    }

    #[test]
    fn what_passed_is_no_finding() {
        assert_eq!(finding("shop", &RehearsalResult::Passed), None);
    }

    #[test]
    fn a_refused_definition_is_named_with_its_database_and_error() {
        let found = finding("shop", &RehearsalResult::NotRestored(refusal("column does not exist"))).unwrap();
        let text = found.to_string();
        assert!(found.blocks(), "{text}");
        for expected in ["[schema-restore]", "\"shop\"", "column does not exist", "CREATE VIEW v AS"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[rstest::rstest]
    #[case::lock(
        RehearsalResult::NotDumped(refusal("canceling statement due to lock timeout")),
        "schema-locked"
    )]
    #[case::dump(RehearsalResult::NotDumped(refusal("cache lookup failed")), "schema-dump")]
    #[case::locale(RehearsalResult::NotRestored(refusal("invalid LC_CTYPE locale name")), "locale")]
    fn each_kind_of_refusal_has_its_own_remedy(#[case] verdict: RehearsalResult, #[case] id: &str) {
        assert_eq!(finding("shop", &verdict).unwrap().id, id);
    }
}
