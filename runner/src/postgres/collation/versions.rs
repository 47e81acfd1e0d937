//! The order of text: it comes from the C library and the ICU of an image, and another image may have
//! another one. The catalog does not always tell: `pg_upgrade` gives predefined collations, and the defaults
//! of databases from before 15, the version of the new image. So what the servers themselves say is compared.

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use crate::postgres::client::session::{ServerError, Superuser, as_everybody, databases, strings_with};

/// An order of text, and the version that a server has of it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Order {
    /// `c` for the C library, `i` for ICU, `b` for `PostgreSQL` itself.
    pub provider: String,
    /// The provider's name for it.
    pub locale: String,
    /// Its version; none where it never changes, and where the server does not know.
    pub version: Option<String>,
}

/// A collation that something in a database uses.
#[derive(Clone, Debug, PartialEq)]
pub struct InUse {
    /// Its OID, [`DEFAULT`] for the database's default.
    pub oid: u32,
    /// What people call it.
    pub name: String,
    /// The order that it stands for.
    pub order: Order,
}

/// The OID of the collation that stands for the database's default.
pub const DEFAULT: u32 = 100;

/// A collation whose order may have changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Drift {
    /// Its OID.
    pub oid: u32,
    /// What people call it.
    pub name: String,
    /// The version before, if it is known.
    pub before: Option<String>,
    /// The version now.
    pub now: Option<String>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say = |version: &Option<String>| version.clone().unwrap_or_else(|| "unknown".to_owned());
        write!(f, "{} ({} → {})", self.name, say(&self.before), say(&self.now))
    }
}

/// The collations whose order may differ from before. What is not known counts as different: an index that
/// was rebuilt for nothing costs time, one that was not loses rows.
#[must_use]
pub fn drift(before: &[Order], now: &[InUse]) -> Vec<Drift> {
    now.iter()
        .filter_map(|InUse { oid, name, order }| {
            let same = before.iter().find(|it| it.provider == order.provider && it.locale == order.locale);
            // All locales of the C library change together.
            let library = || {
                before.iter().find(|it| order.provider == "c" && it.provider == "c" && it.version.is_some())
            };
            let known = same.or_else(library);
            // PostgreSQL itself sorts by bytes, also where it is the provider only since this version.
            let is_of_a_library = order.version.is_some() && order.provider != "b";
            let changed = known.map_or(is_of_a_library, |known| known.version != order.version);
            changed.then(|| Drift {
                oid: *oid,
                name: name.clone(),
                before: known.and_then(|known| known.version.clone()),
                now: order.version.clone(),
            })
        })
        .collect()
}

/// The orders that the databases of the server at `host` use.
pub async fn orders(superuser: &Superuser, host: &str, major: u32) -> Result<Vec<Order>, ServerError> {
    let mut orders = Vec::new();
    for database in databases(&superuser.connect(host, "postgres").await?).await? {
        let client = superuser.connect(host, &database).await?;
        orders.extend(in_use(&client, major).await?.into_iter().map(|it| it.order));
    }
    orders.sort();
    orders.dedup();
    Ok(orders)
}

/// The collations that the database uses which `client` is connected to.
pub async fn in_use(client: &Client, major: u32) -> Result<Vec<InUse>, ServerError> {
    let failed = |source| ServerError::Query { what: "its collations", source };
    let rows = client.query(&query(major), &[]).await.map_err(failed)?;
    let read = |row: &tokio_postgres::Row| {
        let order = Order { provider: row.try_get(2)?, locale: row.try_get(3)?, version: row.try_get(4)? };
        Ok(InUse { oid: row.try_get(0)?, name: row.try_get(1)?, order })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

fn query(major: u32) -> String {
    // Before 15 the default is the C library's, and the server says that one's version of a collation only.
    let library = format!(
        "CASE WHEN datcollate !~* '{UNVERSIONED}' THEN (SELECT max(pg_collation_actual_version(oid)) FROM pg_collation \
         WHERE collprovider = 'c' AND collcollate !~* '{UNVERSIONED}') END"
    );
    let default = "pg_database_collation_actual_version(d.oid)".to_owned();
    let (of_collation, provider, of_default, version) = match major {
        ..15 => ("c.collcollate::text", "'c'", "d.datcollate::text", library),
        15 | 16 => (
            "COALESCE(c.colliculocale, c.collcollate)::text",
            "d.datlocprovider",
            "COALESCE(d.daticulocale, d.datcollate)::text",
            default,
        ),
        _ => (
            "COALESCE(c.colllocale, c.collcollate)::text",
            "d.datlocprovider",
            "COALESCE(d.datlocale, d.datcollate)::text",
            default,
        ),
    };
    // Whatever uses a collation depends on it. Only of those that are pinned, such as `unicode`, the catalog does not
    // keep who does.
    format!(
        "SELECT c.oid, format('%I.%I', n.nspname, c.collname), c.collprovider::text, {of_collation}, \
         pg_collation_actual_version(c.oid) \
         FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.collprovider <> 'd' \
         AND (c.oid IN (SELECT refobjid FROM pg_depend WHERE refclassid = 'pg_collation'::regclass) \
         OR c.oid < {FIRST_UNPINNED} AND ({PINNED_IN_USE})) \
         UNION ALL SELECT {DEFAULT}::oid, 'the default of ' || quote_ident(d.datname), {provider}::text, {of_default}, {version} \
         FROM pg_database d WHERE d.datname = current_database() ORDER BY 1"
    )
}

/// The first OID of what the catalog keeps dependencies of (`FirstUnpinnedObjectId`).
const FIRST_UNPINNED: u32 = 12_000;

/// Whether something of a user's has the collation `c`.
const PINNED_IN_USE: &str = "EXISTS (SELECT FROM pg_attribute WHERE attcollation = c.oid AND attrelid >= 16384) \
     OR EXISTS (SELECT FROM pg_type WHERE typcollation = c.oid AND typtype = 'd' AND oid >= 16384) \
     OR EXISTS (SELECT FROM pg_range WHERE rngcollation = c.oid) \
     OR EXISTS (SELECT FROM pg_partitioned_table WHERE c.oid = ANY(partcollation)) \
     OR EXISTS (SELECT FROM pg_index WHERE indexrelid >= 16384 \
         AND concat(indexprs::text, indpred::text) LIKE '%collid ' || c.oid || ' %') \
     OR EXISTS (SELECT FROM pg_constraint WHERE conbin::text LIKE '%collid ' || c.oid || ' %')";

/// Locales of the C library whose order is that of the bytes.
const UNVERSIONED: &str = r"^(C|POSIX)$|^C\.";

/// The OIDs of collations, as queries take them.
pub fn oids(drift: &[Drift]) -> Vec<u32> {
    drift.iter().map(|drift| drift.oid).collect()
}

/// Statements that tell a database that its affected indexes have the order of now.
pub async fn refreshes(client: &Client, major: u32, drift: &[Drift]) -> Result<Vec<String>, ServerError> {
    let mut sql =
        "SELECT format('ALTER COLLATION %I.%I REFRESH VERSION', n.nspname, c.collname) FROM pg_collation c \
                   JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = ANY($1) \
                   AND c.collversion <> pg_collation_actual_version(c.oid)"
            .to_owned();
    if major >= 15 {
        let default = format!(
            " UNION ALL SELECT format('ALTER DATABASE %I REFRESH COLLATION VERSION', d.datname) \
             FROM pg_database d WHERE d.datname = current_database() AND {DEFAULT} = ANY($1) \
             AND d.datcollversion <> pg_database_collation_actual_version(d.oid)"
        );
        sql.push_str(&default);
    }
    strings_with(client, "collations whose version is of before", &sql, &[&oids(drift)]).await
}

/// Executes one of these statements.
pub async fn refresh(client: &Client, statement: &str) -> Result<(), ServerError> {
    let what = "the version of a collation to be refreshed";
    as_everybody(client, statement).await.map_err(|source| ServerError::Query { what, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn order(provider: &str, locale: &str, version: Option<&str>) -> Order {
        Order { provider: provider.into(), locale: locale.into(), version: version.map(Into::into) }
    }

    fn drifts(before: &[Order], now: Order) -> bool {
        let now = InUse { oid: 16400, name: "public.x".into(), order: now };
        !drift(before, &[now]).is_empty()
    }

    #[rstest]
    #[case::another_icu("i", "de", Some("153.128"), true)]
    #[case::the_same_icu("i", "de", Some("153.14"), false)]
    #[case::a_locale_that_was_not_seen("i", "sv", Some("153.14"), true)]
    #[case::another_library("c", "en_US.UTF-8", Some("2.41"), true)]
    #[case::the_same_library("c", "en_US.UTF-8", Some("2.31"), false)]
    #[case::another_locale_of_the_same_library("c", "sv_SE", Some("2.31"), false)]
    #[case::another_locale_of_another_library("c", "sv_SE", Some("2.41"), true)]
    #[case::bytes_stay_bytes("c", "C", None, false)]
    #[case::bytes_that_were_not_seen("b", "C", Some("1"), false)]
    fn an_order_has_changed_if_its_version_has_or_is_not_known(
        #[case] provider: &str,
        #[case] locale: &str,
        #[case] version: Option<&str>,
        #[case] expected: bool,
    ) {
        let before = [
            order("c", "C", None),
            order("c", "en_US.UTF-8", Some("2.31")),
            order("i", "de", Some("153.14")),
        ];
        assert_eq!(drifts(&before, order(provider, locale, version)), expected);
    }

    #[test]
    fn a_server_that_did_not_know_the_librarys_version_may_have_had_another() {
        assert!(drifts(&[order("c", "de_DE", None)], order("c", "de_DE", Some("2.41"))));
        // musl has no versions, and sorts by bytes.
        assert!(!drifts(&[order("c", "de_DE", None)], order("c", "de_DE", None)));
    }

    #[test]
    fn a_drift_says_both_versions() {
        let drift = Drift {
            oid: DEFAULT,
            name: "the default of shop".into(),
            before: None,
            now: Some("2.41".into()),
        };
        assert_eq!(drift.to_string(), "the default of shop (unknown → 2.41)");
    }

    #[rstest]
    #[case(13, "collcollate", "datcollate")]
    #[case(15, "colliculocale", "daticulocale")]
    #[case(18, "colllocale", "datlocale")]
    fn each_version_is_asked_by_its_own_columns(#[case] major: u32, #[case] one: &str, #[case] other: &str) {
        let query = query(major);
        assert!(query.contains(one) && query.contains(other), "{query}");
        assert_eq!(query.contains("pg_database_collation_actual_version"), major >= 15);
    }
}
