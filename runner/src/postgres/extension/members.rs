//! The extensions that objects of a serving database belong to, or use.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;
use crate::postgres::program::restore_errors::CatalogId;

/// The extensions of rejected objects.
#[derive(Debug, Default)]
pub struct RejectedExtensions {
    /// Of objects that belong to one.
    pub members: BTreeMap<CatalogId, String>,
    /// Of other objects that use one of these: they may be rejected only because it is.
    pub users: BTreeMap<CatalogId, String>,
}

/// What is known of these objects, which a target has rejected.
pub async fn extensions_of_rejected(
    client: &Client,
    objects: &[CatalogId],
) -> Result<RejectedExtensions, ServerError> {
    let members = extensions_of(client, objects).await?;
    let extensions: BTreeSet<_> = members.values().cloned().collect();
    let others: Vec<_> = objects.iter().copied().filter(|object| !members.contains_key(object)).collect();
    let users = extensions_used_by(client, &others, &extensions).await?;
    Ok(RejectedExtensions { members, users })
}

/// The extension of each of these objects that belongs to one, or is a part of an object that does: a rule of a view, for
/// example.
async fn extensions_of(
    client: &Client,
    objects: &[CatalogId],
) -> Result<BTreeMap<CatalogId, String>, ServerError> {
    if objects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (classes, oids) = classes_and_oids(objects);
    by_object(client, include_str!("../sql/extensions_of_objects.sql"), &[&classes, &oids]).await
}

/// The one of `extensions` that each of these objects uses, if any: an index may use an operator class of it.
async fn extensions_used_by(
    client: &Client,
    objects: &[CatalogId],
    extensions: &BTreeSet<String>,
) -> Result<BTreeMap<CatalogId, String>, ServerError> {
    if objects.is_empty() || extensions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (classes, oids) = classes_and_oids(objects);
    let names: Vec<_> = extensions.iter().collect();
    let sql = include_str!("../sql/extensions_used_by_objects.sql");
    by_object(client, sql, &[&classes, &oids, &names]).await
}

fn classes_and_oids(objects: &[CatalogId]) -> (Vec<u32>, Vec<u32>) {
    objects.iter().map(|object| (object.class, object.oid)).unzip()
}

/// Rows of class, OID and extension.
async fn by_object(
    client: &Client,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<BTreeMap<CatalogId, String>, ServerError> {
    let failed = ServerError::query("the extensions of rejected objects");
    let rows = client.query(sql, parameters).await.map_err(failed)?;
    let read = |row: &Row| {
        let object = CatalogId { class: row.try_get(0)?, oid: row.try_get(1)? };
        Ok((object, row.try_get::<_, Lossy>(2)?.0))
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}
