//! Queries the system catalogs of the serving database for this pair of versions: everything that `pg_upgrade --check`
//! would report only when the database is down, and what it does not report at all.

use std::borrow::Cow;

use tokio_postgres::Client;

use super::meaning::CHANGES;
use super::table::{CHECKS, Check, CheckScope, Question};
use crate::postgres::client::query::strings;
use crate::upgrade::{Finding, StepError, UpgradeContext, Weight, shortened};

/// Runs every check that applies, those of a database in each database. A check of the whole server returns its objects
/// without a database's name.
pub async fn findings(
    upgrade: &UpgradeContext,
    ip: &str,
    databases: &[String],
) -> Result<Vec<Finding>, StepError> {
    let applies = |check: &&Check| (check.applies)(upgrade.old_major, upgrade.new_major);
    let applying: Vec<&Check> = CHECKS.iter().chain(CHANGES).filter(applies).collect();
    let mut found = vec![Vec::new(); applying.len()];
    let server = std::iter::once((CheckScope::Server, "postgres"));
    let each_database = databases.iter().map(|name| (CheckScope::Database, name.as_str()));
    for (scope, database) in server.chain(each_database) {
        let client = upgrade.superuser.connect(ip, database).await?;
        let label = (scope == CheckScope::Database).then_some(database);
        for (check, found) in applying.iter().zip(&mut found).filter(|(check, _)| check.scope == scope) {
            found.extend(query(&client, check, label).await?);
        }
    }
    Ok(applying.iter().zip(found).filter_map(|(check, objects)| finding(check, &objects)).collect())
}

/// Databases that reject the superuser's connection.
pub fn unreachable(databases: &[(String, String)]) -> Option<Finding> {
    let named: Vec<_> = databases.iter().map(|(name, why)| format!("\"{name}\": {why}")).collect();
    (!named.is_empty()).then(|| {
        let remedy = "pg_upgrade must connect to every database as the superuser; fix the reported error";
        Finding::new("unreachable-database", format!("{remedy}: {}", shortened(&named)))
    })
}

async fn query(client: &Client, check: &Check, database: Option<&str>) -> Result<Vec<String>, StepError> {
    let objects = strings(client, check.id, &sql(&check.question)).await?;
    let label = |object: String| match database {
        Some(database) => format!("{object} in \"{database}\""),
        None => object,
    };
    Ok(objects.into_iter().map(label).collect())
}

fn finding(check: &Check, objects: &[String]) -> Option<Finding> {
    (!objects.is_empty()).then(|| {
        let text = format!("{}: {}", check.remedy, shortened(objects));
        match check.weight {
            Weight::Blocks => Finding::new(check.id, text),
            Weight::Note => Finding::note(check.id, text),
        }
    })
}

/// The query, whose only column names one object a row.
fn sql(question: &Question) -> Cow<'static, str> {
    match question {
        Question::Sql(sql) => Cow::Borrowed(sql),
        Question::StoredColumnsOf(types) => Cow::Owned(stored_columns_of(types)),
    }
}

/// Columns with storage of their own (tables, materialized views, indexes) whose type is one of `types`, or contains one
/// as a domain, an array, a range or a composite type, at any depth.
fn stored_columns_of(types: &str) -> String {
    format!(
        "WITH RECURSIVE holds (whole, part) AS (
           SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
           UNION ALL SELECT oid, typelem FROM pg_type WHERE typtype = 'b' AND typelem <> 0
           UNION ALL SELECT rngtypid, rngsubtype FROM pg_range
           UNION ALL SELECT c.reltype, a.atttypid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE c.reltype <> 0 AND NOT a.attisdropped
         ), affected (oid) AS (
           SELECT t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {types}
           UNION SELECT h.whole FROM holds h JOIN affected a ON h.part = a.oid
         )
         SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'm', 'i') AND NOT a.attisdropped AND a.atttypid IN (SELECT oid FROM affected)
           AND n.nspname NOT IN ('pg_catalog', 'information_schema')
           AND n.nspname !~ '^pg_(toast_)?temp_'
         ORDER BY 1"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check(id: &str) -> &'static Check {
        CHECKS.iter().find(|check| check.id == id).unwrap()
    }

    #[test]
    fn check_without_objects_has_no_finding() {
        assert_eq!(finding(check("reg-type-column"), &[]), None);
    }

    #[test]
    fn finding_names_objects_and_has_the_weight_of_its_check() {
        let found = finding(check("reg-type-column"), &["public.t.f in \"shop\"".into()]).unwrap();
        assert!(found.blocks() && found.text.ends_with("public.t.f in \"shop\""), "{found}");
        let found = finding(check("subscription-before-17"), &["s".into()]).unwrap();
        assert!(!found.blocks(), "{found}");
    }

    #[test]
    fn unreachable_database_is_named_with_the_servers_error() {
        assert_eq!(unreachable(&[]), None);
        let found = unreachable(&[("shop".into(), "FATAL: no entry".into())]).unwrap();
        assert!(found.blocks() && found.text.ends_with("\"shop\": FATAL: no entry"), "{found}");
    }

    #[test]
    fn checks_have_unique_ids_and_apply_to_some_pair() {
        let ids: BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), CHECKS.len());
        let pairs = || (10..=18).flat_map(|old| (old + 1..=19).map(move |new| (old, new)));
        for check in CHECKS {
            assert!(pairs().any(|(old, new)| (check.applies)(old, new)), "{} never applies", check.id);
        }
    }

    #[test]
    fn checks_are_documented_in_the_findings_page() {
        let page = include_str!("../../../../docs/reference/findings.md");
        for check in CHECKS {
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
