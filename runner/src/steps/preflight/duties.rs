//! What release notes recommend after this upgrade, with the objects of the database that it concerns.

use pgops_api::PgVersion;
use pgops_api::names::ANNOTATION_REINDEX;
use pgops_api::plan::{Reindex, UpgradeKind};
use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::duties::duty::{Action, Duty, IndexRule, Objects, release_notes};
use crate::postgres::duties::objects::{names, rules_in_use};
use crate::postgres::duties::{LARGEST_IN_MINOR_UPGRADES, Unread, due, unread_release};
use crate::upgrade::{Finding, StepError, UpgradeContext, shortened};

/// Id of the notes about objects.
const DUTY: &str = "release-duty";
/// Id of the note about releases that the table does not know.
const UNREAD: &str = "release-unread";

/// The duties of an upgrade, each with the release whose notes recommend it.
pub fn of_upgrade(upgrade: &UpgradeContext) -> Result<Vec<(&'static Duty, PgVersion)>, StepError> {
    Ok(due(upgrade.plan.from.pg_version()?, upgrade.plan.to.pg_version()?))
}

/// What each of the duties concerns in the database that `client` is connected to.
pub async fn read(client: &Client, due: &[(&Duty, PgVersion)]) -> Result<Vec<Vec<String>>, ServerError> {
    let rules: Vec<_> = due.iter().filter_map(|(duty, _)| index_rule(duty)).collect();
    let in_use = rules_in_use(client, &rules).await?;
    let mut places = 0..;
    let mut found = Vec::new();
    for (duty, _) in due {
        let has_none = match index_rule(duty) {
            Some(_) => places.next().is_none_or(|place| !in_use.contains(&place)),
            None => is_of_server(duty),
        };
        found.push(if has_none { Vec::new() } else { names(client, duty).await? });
    }
    Ok(found)
}

fn index_rule(duty: &Duty) -> Option<&IndexRule> {
    if let Objects::Indexes(rule) = &duty.objects { Some(rule) } else { None }
}

fn is_of_server(duty: &Duty) -> bool {
    matches!(duty.objects, Objects::Server(_))
}

/// The notes, one for each duty that concerns something in one of the databases, of which `read` has what was found, or in the
/// whole server at `ip`.
pub async fn notes(
    upgrade: &UpgradeContext,
    ip: &str,
    databases: &[String],
    read: &[Vec<Vec<String>>],
) -> Result<Vec<Finding>, StepError> {
    let due = of_upgrade(upgrade)?;
    let mut found = in_databases(due.len(), databases, read);
    // One of them stands for the server.
    if let Some(first) = databases.first()
        && due.iter().any(|(duty, _)| is_of_server(duty))
    {
        let client = upgrade.superuser.connect(ip, first).await?;
        for ((duty, _), found) in due.iter().zip(&mut found).filter(|((duty, _), _)| is_of_server(duty)) {
            found.extend(names(&client, duty).await?);
        }
    }
    let each = due.iter().zip(&found).filter(|(_, objects)| !objects.is_empty());
    let rebuilt = rebuilt(upgrade.kind, upgrade.plan.reindex);
    let notes = each.map(|((duty, release), objects)| note(duty, *release, &rebuilt, objects));
    Ok(notes.chain(unread(upgrade.plan.to.pg_version()?)).collect())
}

/// The objects of each of that number of duties, with their databases.
fn in_databases(duties: usize, databases: &[String], read: &[Vec<Vec<String>>]) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new(); duties];
    for (database, read) in databases.iter().zip(read) {
        for (names, found) in read.iter().zip(&mut found) {
            found.extend(names.iter().map(|name| format!("{name} in \"{database}\"")));
        }
    }
    found
}

/// What pgops does about indexes that are to be rebuilt.
fn rebuilt(kind: UpgradeKind, reindex: Reindex) -> String {
    match (reindex, kind) {
        (Reindex::Affected, UpgradeKind::Major) => "they are rebuilt after the outage".to_owned(),
        (Reindex::Affected, UpgradeKind::Minor) => {
            format!("those of up to {} MiB are rebuilt after the outage", LARGEST_IN_MINOR_UPGRADES >> 20)
        }
        (Reindex::Report, _) => "they are listed after the outage, and left to you".to_owned(),
        (Reindex::Off, _) => {
            format!("afterwards REINDEX INDEX CONCURRENTLY them, as {ANNOTATION_REINDEX} leaves it to you")
        }
    }
}

/// The note about the objects of one duty.
fn note(duty: &Duty, release: PgVersion, rebuilt: &str, objects: &[String]) -> Finding {
    let remedy = match duty.action {
        Action::Tell(what) => format!("afterwards {what}"),
        Action::Rebuild => rebuilt.to_owned(),
    };
    let text = format!("{}; {remedy} ({}): {}", duty.what, release_notes(release), shortened(objects));
    Finding::note(DUTY, text)
}

/// The target is newer than the table.
fn unread(target: PgVersion) -> Option<Finding> {
    let text = match unread_release(target)? {
        Unread::After(known) => format!(
            "this pgops knows what release notes recommend up to {known}, and the target is {target}: read \"Migration\" in the \
             notes of the releases after {known}, {}",
            release_notes(target)
        ),
        Unread::All => format!(
            "this pgops does not know what release notes of PostgreSQL {} recommend: read \"Migration\" in each, {}",
            target.major,
            release_notes(target)
        ),
    };
    Some(Finding::note(UNREAD, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> PgVersion {
        text.parse().unwrap()
    }

    #[test]
    fn note_of_a_duty_names_objects_source_and_who_does_it() {
        let due = due(version("15.18"), version("15.20"));
        let text = |id: &str| {
            let (duty, release) = due.iter().find(|(duty, _)| duty.id == id).unwrap();
            note(duty, *release, "they are rebuilt", &["\"s\".\"i\" in \"shop\"".to_owned()]).to_string()
        };
        let rebuilt = text("btree-character");
        assert!(rebuilt.starts_with("[release-duty] note: B-tree indexes on char(n)"), "{rebuilt}");
        let end =
            "; they are rebuilt (https://www.postgresql.org/docs/release/15.20/): \"s\".\"i\" in \"shop\"";
        assert!(rebuilt.ends_with(end), "{rebuilt}");
        assert!(
            text("gin-vacuum").contains("; afterwards REINDEX INDEX CONCURRENTLY them if you suspect it")
        );
    }

    #[test]
    fn objects_of_a_duty_are_named_with_their_databases() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let read = [vec![names(&["i"]), names(&[])], vec![names(&["i", "j"]), names(&["k"])]];
        let found = in_databases(2, &names(&["shop", "geo"]), &read);
        let expected = [names(&["i in \"shop\"", "i in \"geo\"", "j in \"geo\""]), names(&["k in \"geo\""])];
        assert_eq!(found, expected);
        assert_eq!(in_databases(1, &[], &[]), [names(&[])]);
    }

    #[test]
    fn note_of_a_newer_release_names_what_to_read() {
        assert_eq!(unread(version("15.20")), None);
        let text = unread(version("15.99")).unwrap().to_string();
        assert!(text.starts_with("[release-unread] note: ") && text.contains("after 15.20"), "{text}");
        assert!(unread(version("40.0")).unwrap().to_string().contains("PostgreSQL 40"));
    }
}
