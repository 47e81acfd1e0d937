//! Queries the system catalogs of the serving database for this pair of versions: everything that `pg_upgrade --check`
//! would report only when the database is down, and what it does not report at all.

use std::borrow::Cow;

use pgops_api::plan::{Step, UpgradeKind};
use tokio_postgres::{Client, Row};

use super::check::{Check, CheckScope, Question};
use super::extension_objects::ExtensionObjects;
use super::identity::IDENTITY;
use super::meaning::CHANGES;
use super::rejected_constants::REJECTED_CONSTANTS;
use super::restored_differently::RESTORED_DIFFERENTLY;
use super::stored_columns::{contained, stored_columns_of};
use super::stored_queries::STORED_QUERIES;
use super::table::{EVENT_TRIGGER_CODE, checks};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;
use crate::upgrade::{Finding, Named, StepError, UpgradeContext, Weight, log_step, shortened};

/// An object that a check has found.
#[derive(Debug, Eq, PartialEq)]
pub struct Found {
    object: String,
    /// The extension that it belongs to.
    extension: Option<String>,
}

/// The checks that apply to an upgrade. A minor upgrade needs only those that are about what pgops itself does, and not about
/// `pg_upgrade`: it has indexes rebuilt too.
fn applying(upgrade: &UpgradeContext, scope: CheckScope) -> Vec<&'static Check> {
    let (old, new) = (upgrade.old_major, upgrade.new_major);
    let all = checks().chain(REJECTED_CONSTANTS).chain(CHANGES).chain(STORED_QUERIES);
    let all = all.chain(IDENTITY).chain(RESTORED_DIFFERENTLY);
    let of_kind = |check: &&Check| upgrade.kind == UpgradeKind::Major || is_for_minor(check);
    all.filter(of_kind).filter(|check| check.scope == scope && (check.applies)(old, new)).collect()
}

fn is_for_minor(check: &Check) -> bool {
    check.id == EVENT_TRIGGER_CODE
}

/// The checks of each database that apply to an upgrade.
pub fn of_database(upgrade: &UpgradeContext) -> Vec<&'static Check> {
    applying(upgrade, CheckScope::Database)
}

/// What checks find in the database that `client` is connected to, for each check.
pub async fn read(client: &Client, checks: &[&Check]) -> Result<Vec<Vec<Found>>, ServerError> {
    let types: Vec<_> = checks.iter().filter_map(|check| check.question.stored_types()).collect();
    let mut are_contained = contained(client, &types).await?.into_iter();
    let mut found = Vec::new();
    for check in checks {
        let has_none = check.question.stored_types().is_some() && are_contained.next() == Some(false);
        found.push(if has_none { Vec::new() } else { query(client, check).await? });
    }
    Ok(found)
}

/// The findings of every check that applies. A check of the whole server, at `ip`, returns its objects without a database's name;
/// `found` has what was read of each database.
pub async fn findings(
    upgrade: &UpgradeContext,
    ip: &str,
    databases: &[String],
    found: Vec<Vec<Vec<Found>>>,
) -> Result<(Vec<Finding>, ExtensionObjects), StepError> {
    let client = upgrade.superuser.connect_server(ip).await?;
    let mut findings = Vec::new();
    for check in applying(upgrade, CheckScope::Server) {
        let objects: Named = query(&client, check).await?.into_iter().map(|found| found.object).collect();
        findings.extend(finding(check, &objects));
    }
    let of_database = of_database(upgrade);
    let mut objects = vec![Named::default(); of_database.len()];
    let mut of_extensions = ExtensionObjects::default();
    for (database, found) in databases.iter().zip(found) {
        for ((check, objects), found) in of_database.iter().zip(&mut objects).zip(found) {
            sort_out(check, database, found, objects, &mut of_extensions);
        }
    }
    findings.extend(of_database.iter().zip(objects).filter_map(|(check, objects)| finding(check, &objects)));
    Ok((findings, of_extensions))
}

/// Tells the objects of users from those of extensions, which cannot be changed by themselves.
fn sort_out(
    check: &Check,
    database: &str,
    found: Vec<Found>,
    objects: &mut Named,
    of_extensions: &mut ExtensionObjects,
) {
    for Found { object, extension } in found {
        let line = format!("{object} in \"{database}\"");
        if let Some(extension) = extension {
            log_step(Step::Preflight, format!("[{}] {line}, of extension {extension}", check.id));
            of_extensions.add(&extension, database, format!("{object} ({})", check.id));
            continue;
        }
        objects.add(line.clone());
        // The finding only counts it.
        if objects.is_shortened() {
            log_step(Step::Preflight, format!("[{}] {line}", check.id));
        }
    }
}

/// Databases that reject the superuser's connection.
pub fn unreachable(databases: &[(String, String)]) -> Option<Finding> {
    let named: Vec<_> = databases.iter().map(|(name, why)| format!("\"{name}\": {why}")).collect();
    (!named.is_empty()).then(|| {
        let remedy = "pg_upgrade must connect to every database as the superuser; fix the reported error";
        Finding::new("unreachable-database", format!("{remedy}: {}", shortened(&named)))
    })
}

async fn query(client: &Client, check: &Check) -> Result<Vec<Found>, ServerError> {
    let failed = ServerError::query(check.id);
    let rows = client.query_typed(&sql(&check.question), &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        let extension = if row.len() > 1 { row.try_get::<_, Option<Lossy>>(1)? } else { None };
        Ok(Found { object: row.try_get::<_, Lossy>(0)?.0, extension: extension.map(|name| name.0) })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

fn finding(check: &Check, objects: &Named) -> Option<Finding> {
    (objects.count() > 0).then(|| {
        let text = format!("{}: {objects}", check.remedy);
        match check.weight {
            Weight::Blocks => Finding::new(check.id, text),
            Weight::Note => Finding::note(check.id, text),
        }
    })
}

/// The query: its first column names one object a row, and a second one the extension that it belongs to.
fn sql(question: &Question) -> Cow<'static, str> {
    match question {
        Question::Sql(sql) => Cow::Borrowed(sql),
        Question::StoredColumnsOf(types) => Cow::Owned(stored_columns_of(types)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check(id: &str) -> &'static Check {
        checks().find(|check| check.id == id).unwrap()
    }

    #[test]
    fn check_of_what_pgops_itself_runs_applies_to_minor_upgrades() {
        let ids: Vec<_> = checks().filter(|check| is_for_minor(check)).map(|check| check.id).collect();
        assert_eq!(ids, ["event-trigger-code"]);
        let applies = check(EVENT_TRIGGER_CODE).applies;
        assert!(applies(13, 13) && applies(16, 16) && !applies(17, 17));
    }

    #[test]
    fn check_without_objects_has_no_finding() {
        assert_eq!(finding(check("reg-type-column"), &Named::default()), None);
    }

    #[test]
    fn finding_names_objects_and_has_the_weight_of_its_check() {
        let named = |object: &str| std::iter::once(object.to_owned()).collect();
        let found = finding(check("reg-type-column"), &named("public.t.f in \"shop\"")).unwrap();
        assert!(found.blocks() && found.text.ends_with("public.t.f in \"shop\""), "{found}");
        let found = finding(check("subscription-before-17"), &named("s")).unwrap();
        assert!(!found.blocks(), "{found}");
    }

    #[test]
    fn object_of_an_extension_is_reported_with_the_extension_only() {
        let found = |object: &str, extension: Option<&str>| Found {
            object: object.to_owned(),
            extension: extension.map(ToOwned::to_owned),
        };
        let check = check("polymorphic-function");
        let (mut objects, mut of_extensions) = (Named::default(), ExtensionObjects::default());
        let rows = vec![
            found("aggregate a(anyelement)", None),
            found("aggregate repack.array_accum", Some("pg_repack")),
        ];
        sort_out(check, "shop", rows, &mut objects, &mut of_extensions);
        assert_eq!(objects.to_string(), "aggregate a(anyelement) in \"shop\"");
        let of_extensions = format!("{of_extensions:?}");
        assert!(
            of_extensions.contains("aggregate repack.array_accum (polymorphic-function)"),
            "{of_extensions}"
        );
    }

    #[test]
    fn checks_of_objects_that_extensions_may_have_name_the_extension() {
        for id in ["encoding-conversion", "postfix-operator", "polymorphic-function", "reg-type-column"] {
            assert!(sql(&check(id).question).contains("pg_extension"), "{id}");
        }
    }

    #[test]
    fn unreachable_database_is_named_with_the_servers_error() {
        assert_eq!(unreachable(&[]), None);
        let found = unreachable(&[("shop".into(), "FATAL: no entry".into())]).unwrap();
        assert!(found.blocks() && found.text.ends_with("\"shop\": FATAL: no entry"), "{found}");
    }

    #[test]
    fn missing_template_blocks_and_lost_state_is_noted() {
        let template = check("missing-template");
        assert_eq!(template.weight, Weight::Blocks);
        assert!(template.remedy.contains("CREATE DATABASE template1 TEMPLATE template0"));
        for id in ["commit-timestamps", "wal-archive"] {
            assert!(check(id).weight == Weight::Note && (check(id).applies)(13, 18), "{id}");
        }
    }

    #[test]
    fn checks_have_unique_ids_and_apply_to_some_pair() {
        let ids: BTreeSet<_> = checks().map(|check| check.id).collect();
        assert_eq!(ids.len(), checks().count());
        let pairs = || (10..=18).flat_map(|old| (old + 1..=19).map(move |new| (old, new)));
        for check in checks() {
            assert!(pairs().any(|(old, new)| (check.applies)(old, new)), "{} never applies", check.id);
        }
    }

    #[test]
    fn checks_are_documented_in_the_findings_page() {
        let page = include_str!("../../../../docs/reference/findings.md");
        for check in checks() {
            assert!(
                page.contains(&format!("`{}`", check.id)),
                "docs/reference/findings.md lacks {}",
                check.id
            );
        }
    }

    #[rstest::rstest]
    #[case::aclitem_grew_in_16("aclitem-column", (15, 16), (16, 17))]
    #[case::conversions_and_operators_before_14("postfix-operator", (13, 14), (14, 15))]
    #[case::not_null_is_inherited_from_18("not-null-inheritance", (16, 17), (18, 19))]
    #[case::slots_are_carried_from_17("logical-slot", (16, 17), (17, 18))]
    #[case::and_must_be_consumed_then("unfinished-logical-slot", (17, 18), (16, 17))]
    #[case::event_triggers_can_be_off_from_17("event-trigger", (13, 16), (13, 17))]
    #[case::and_their_code_does_not_run("event-trigger-code", (13, 16), (13, 17))]
    #[case::oids_before_12("table-with-oids", (11, 12), (12, 13))]
    fn check_applies_to_the_versions_that_changed(
        #[case] id: &str,
        #[case] applies: (u32, u32),
        #[case] not: (u32, u32),
    ) {
        assert!((check(id).applies)(applies.0, applies.1));
        assert!(!(check(id).applies)(not.0, not.1));
    }
}
