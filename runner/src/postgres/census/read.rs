//! Reads the census of a database. The sessions' search path has no schema of users, and no query evaluates their code.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::compare::{CatalogDigest, CatalogRow, CreatedBy, Fingerprint};
use super::definitions::{CATALOGS, Catalog, is_known};
use super::dropped;
use super::presence::{any_of, may_have_rights, may_have_rows};
use super::row_digests::RowDigest;
use super::sql::{self, BuiltIn, CommonColumns};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, count, strings, texts};

const WHAT: &str = "the system catalogs";

/// The columns of the system catalogs of a server, as `catalog.column`.
const COLUMNS: &str = "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
     WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND c.oid < 16384 AND a.attnum > 0";

/// What the rights on the rows of a catalog are called, in front of the catalog's name.
const RIGHTS: &str = "rights:";

/// How the census of a pair of servers is read.
#[derive(Clone, Debug)]
pub struct Census {
    common: CommonColumns,
    queries: Vec<RowQuery>,
    /// Columns of the system catalogs that the census has never heard of.
    unknown: Vec<String>,
}

/// The queries of the rows that a digest is made of.
#[derive(Clone, Debug)]
struct RowQuery {
    /// The name of the digest.
    name: String,
    /// Whether there may be rows of users, or changed ones.
    any: String,
    changed: String,
    all: String,
}

impl RowQuery {
    fn new(name: String, any: Option<String>, query: impl Fn(BuiltIn) -> Option<String>) -> Option<Self> {
        Some(Self { name, any: any?, changed: query(BuiltIn::Changed)?, all: query(BuiltIn::All)? })
    }
}

impl Census {
    /// For two servers: only what both have can be compared.
    pub async fn between(source: &Client, target: &Client) -> Result<Self, ServerError> {
        let source = columns(source).await?;
        let target = columns(target).await?;
        let unknown = source.union(&target).filter(|column| !is_known(column)).cloned().collect();
        Ok(Self { unknown, ..Self::of(source.intersection(&target).cloned().collect()) })
    }

    /// For a server that is compared with an earlier census of these columns.
    #[must_use]
    pub fn of(common: CommonColumns) -> Self {
        Self { queries: queries(&common), common, unknown: Vec::new() }
    }

    /// The columns that are compared.
    #[must_use]
    pub fn common(&self) -> &CommonColumns {
        &self.common
    }

    /// Columns of either server that the census does not know, as `catalog.column`: of a later version than it was made for.
    #[must_use]
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The number of rows in each catalog, and a digest of them.
    pub async fn digests(&self, client: &Client) -> Result<Vec<CatalogDigest>, ServerError> {
        let any = any_of(self.queries.iter().map(|query| query.any.as_str()));
        let read = repeated(client, async || {
            let any: Vec<bool> = client.query_typed_one(&any, &[]).await?.try_get(0)?;
            let queries = self.queries.iter().zip(any).filter(|(_, any)| *any);
            read_digests(client, queries.map(|(query, _)| query)).await
        });
        Ok(self.with_empty(read.await?))
    }

    /// The same for some of the catalogs: those that these digests name.
    pub async fn digests_of(
        &self,
        client: &Client,
        names: &BTreeSet<&str>,
    ) -> Result<Vec<CatalogDigest>, ServerError> {
        let queries: Vec<_> =
            self.queries.iter().filter(|query| names.contains(query.name.as_str())).collect();
        repeated(client, async || read_digests(client, queries.iter().copied()).await).await
    }

    /// With a digest of each catalog that has no rows, in the order of the catalogs.
    fn with_empty(&self, digests: Vec<CatalogDigest>) -> Vec<CatalogDigest> {
        let mut read: BTreeMap<_, _> =
            digests.into_iter().map(|digest| (digest.name.clone(), digest)).collect();
        let digest = |query: &RowQuery| {
            let name = query.name.clone();
            read.remove(&name).unwrap_or_else(|| CatalogDigest { name, rows: 0, digest: "0".to_owned() })
        };
        self.queries.iter().map(digest).collect()
    }

    /// The rows of the catalogs that these digests name, each with a digest of its fields.
    pub async fn fingerprints(
        &self,
        client: &Client,
        names: &BTreeSet<&str>,
    ) -> Result<Vec<Fingerprint>, ServerError> {
        let failed = ServerError::query(WHAT);
        let queries = self.queries.iter().filter(|query| names.contains(query.name.as_str()));
        let mut queries = queries.map(|query| (query.name.as_str(), query.changed.as_str())).peekable();
        if queries.peek().is_none() {
            return Ok(Vec::new());
        }
        let rows = in_transaction(client, &sql::fingerprints(queries)).await?;
        rows.iter()
            .map(|row| {
                Ok(Fingerprint {
                    catalog: row.try_get(0).map_err(failed)?,
                    identity: row.try_get::<_, Lossy>(1).map_err(failed)?.0,
                    fields: row.try_get(2).map_err(failed)?,
                })
            })
            .collect()
    }

    /// The rows of a catalog that a digest names: all, or those whose identities have these numbers.
    pub async fn rows(
        &self,
        client: &Client,
        name: &str,
        built_in: BuiltIn,
        identities: Option<&[i64]>,
    ) -> Result<Vec<CatalogRow>, ServerError> {
        let failed = ServerError::query(WHAT);
        let Some(query) = self.query(name, built_in) else { return Ok(Vec::new()) };
        let rows = match identities {
            None => in_transaction(client, &sql::with_initdb(query)).await?,
            Some(identities) => {
                in_transaction_with(client, &sql::rows_with_identities(query), &[&identities]).await?
            }
        };
        rows.iter().map(|row| read_row(row).map_err(failed)).collect()
    }

    /// The rows of a catalog that a digest names, of each only two numbers.
    pub async fn row_digests(
        &self,
        client: &Client,
        name: &str,
        built_in: BuiltIn,
    ) -> Result<Vec<RowDigest>, ServerError> {
        let failed = ServerError::query(WHAT);
        let Some(query) = self.query(name, built_in) else { return Ok(Vec::new()) };
        let rows = in_transaction(client, &sql::row_digests(query)).await?;
        let read = |row: &Row| Ok(RowDigest { identity: row.try_get(0)?, fields: row.try_get(1)? });
        rows.iter().map(|row| read(row).map_err(failed)).collect()
    }

    fn query(&self, name: &str, built_in: BuiltIn) -> Option<&str> {
        let query = self.queries.iter().find(|query| query.name == name)?;
        Some(match built_in {
            BuiltIn::Changed => &query.changed,
            BuiltIn::All => &query.all,
        })
    }

    /// What is compared of the rows of a catalog that a digest names: the names of the columns.
    #[must_use]
    pub fn fields(&self, name: &str) -> Vec<&'static str> {
        let catalog = CATALOGS.iter().find(|catalog| catalog.name == name);
        catalog.map_or_else(Vec::new, |catalog| {
            sql::compared(catalog, &self.common).map(|(name, _)| name).collect()
        })
    }
}

fn queries(common: &CommonColumns) -> Vec<RowQuery> {
    let of_catalog = |catalog: &'static Catalog| {
        let rows = |built_in| sql::rows(catalog, common, built_in);
        let rights = |built_in| sql::rights(catalog, common, built_in);
        [
            RowQuery::new(catalog.name.to_owned(), Some(may_have_rows(catalog)), rows),
            RowQuery::new(format!("{RIGHTS}{}", catalog.name), may_have_rights(catalog), rights),
        ]
    };
    CATALOGS.iter().flat_map(of_catalog).flatten().collect()
}

/// The names of what a database has of the objects that `initdb` created and that can be dropped.
pub async fn existing_droppable(client: &Client) -> Result<BTreeSet<String>, ServerError> {
    let failed = ServerError::query("the objects that initdb created");
    let rows = in_transaction(client, dropped::EXISTING).await?;
    rows.iter().map(|row| Ok(row.try_get::<_, Lossy>(0).map_err(failed)?.0)).collect()
}

/// What the rows of a digest's catalog are, in the plural.
#[must_use]
pub fn kind(name: &str) -> String {
    let (prefix, name) = match name.strip_prefix(RIGHTS) {
        Some(name) => ("rights on ", name),
        None => ("", name),
    };
    let catalog = CATALOGS.iter().find(|catalog| catalog.name == name);
    format!("{prefix}{}", catalog.map_or(name, |catalog| catalog.kind))
}

/// The oldest transaction that may still run on a server: a dump that begins later sees the changes of all before it.
pub async fn horizon(client: &Client) -> Result<Horizon, ServerError> {
    // A row has the lower 32 bits.
    count(client, "the oldest running transaction", sql::HORIZON).await.map(Horizon::new)
}

/// A transaction, by the number that rows have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Horizon(u32);

impl Horizon {
    /// From a number that has an epoch in its upper half.
    #[must_use]
    pub fn new(transaction: u64) -> Self {
        Self(u32::try_from(transaction & u64::from(u32::MAX)).unwrap_or(0))
    }

    /// Whether a row's transaction may be newer. Numbers are compared modulo 2^32, as the server does; the first ones are
    /// not transactions, and older than all.
    #[must_use]
    pub fn may_precede(self, xmin: u32) -> bool {
        const FIRST: u32 = 3;
        xmin >= FIRST && xmin.wrapping_sub(self.0) < 1 << 31
    }
}

async fn columns(client: &Client) -> Result<BTreeSet<String>, ServerError> {
    Ok(strings(client, "the columns of the system catalogs", COLUMNS).await?.into_iter().collect())
}

async fn read_digests(
    client: &Client,
    queries: impl Iterator<Item = &RowQuery>,
) -> Result<Vec<CatalogDigest>, tokio_postgres::Error> {
    let mut queries = queries.map(|query| (query.name.as_str(), query.changed.as_str())).peekable();
    if queries.peek().is_none() {
        return Ok(Vec::new());
    }
    let rows = client.query_typed(&sql::digests(queries), &[]).await?;
    let digest = |row: &Row| {
        let count = u64::try_from(row.try_get::<_, i64>(1)?).unwrap_or(0);
        Ok(CatalogDigest { name: row.try_get(0)?, rows: count, digest: row.try_get(2)? })
    };
    rows.iter().map(digest).collect()
}

/// Without parameters their types need not be asked for, which takes a round trip.
async fn in_transaction(client: &Client, query: &str) -> Result<Vec<Row>, ServerError> {
    repeated(client, async || client.query_typed(query, &[]).await).await
}

async fn in_transaction_with(
    client: &Client,
    query: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, ServerError> {
    repeated(client, async || client.query(query, parameters).await).await
}

/// How often something is read whose objects other sessions drop meanwhile.
const ATTEMPTS: usize = 5;

/// Reads in one transaction.
async fn repeated<T>(
    client: &Client,
    read: impl AsyncFn() -> Result<T, tokio_postgres::Error>,
) -> Result<T, ServerError> {
    let mut repetitions = 1..ATTEMPTS;
    loop {
        match in_one_transaction(client, &read).await {
            // Functions that name an object look it up as it is now, and not in the snapshot: it was dropped meanwhile.
            Err(error) if error.is_internal() && repetitions.next().is_some() => {}
            result => return result,
        }
    }
}

async fn in_one_transaction<T>(
    client: &Client,
    read: &impl AsyncFn() -> Result<T, tokio_postgres::Error>,
) -> Result<T, ServerError> {
    let failed = ServerError::query(WHAT);
    client.batch_execute(sql::BEGIN).await.map_err(failed)?;
    let read = read().await;
    let ended = client.batch_execute("ROLLBACK").await;
    let read = read.map_err(failed)?;
    ended.map(|()| read).map_err(failed)
}

fn read_row(row: &Row) -> Result<CatalogRow, tokio_postgres::Error> {
    Ok(CatalogRow {
        identity: row.try_get::<_, Lossy>(0)?.0,
        fields: texts(row, 1)?,
        xmin: u32::try_from(row.try_get::<_, i64>(2)?).unwrap_or(0),
        created_by: if row.try_get(3)? { CreatedBy::Initdb } else { CreatedBy::Users },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_is_newer_than_a_horizon_across_the_wraparound() {
        let horizon = Horizon::new((7 << 32) + 1000);
        assert!(horizon.may_precede(1000) && horizon.may_precede(1001) && !horizon.may_precede(999));
        let late = Horizon::new(u64::from(u32::MAX) - 10);
        assert!(late.may_precede(5) && !late.may_precede(u32::MAX - 11));
        assert!(!late.may_precede(1) && !late.may_precede(2), "rows of initdb are older than all");
    }

    #[test]
    fn catalog_without_rows_has_the_digest_of_nothing() {
        let columns = ["pg_cast.castfunc", "pg_proc.proname", "pg_trigger.tgname"];
        let census = Census::of(columns.into_iter().map(ToOwned::to_owned).collect());
        let digest =
            |name: &str, rows, digest: &str| CatalogDigest { name: name.into(), rows, digest: digest.into() };
        let digests = census.with_empty(vec![digest("pg_proc", 2, "7")]);
        let of = |name: &str| digests.iter().find(|digest| digest.name == name).unwrap().clone();
        assert_eq!(of("pg_proc"), digest("pg_proc", 2, "7"));
        assert_eq!(of("pg_cast"), digest("pg_cast", 0, "0"));
        assert_eq!(of("rights:pg_proc"), digest("rights:pg_proc", 0, "0"));
        assert_eq!(digests.len(), census.queries.len());
    }

    #[test]
    fn rights_on_a_catalog_are_named_after_its_rows() {
        assert_eq!(kind("pg_proc"), "functions");
        assert_eq!(kind("rights:pg_proc"), "rights on functions");
        assert_eq!(kind("pg_future"), "pg_future");
    }
}
