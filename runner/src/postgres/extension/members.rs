//! The extensions that objects of a serving database belong to.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;
use crate::postgres::program::restore_errors::CatalogId;

/// The extension of each of these objects that belongs to one, or is a part of an object that does: a rule of a view, for
/// example.
pub async fn extensions_of(
    client: &Client,
    objects: &[CatalogId],
) -> Result<BTreeMap<CatalogId, String>, ServerError> {
    if objects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let failed = ServerError::query("the extensions of rejected objects");
    let (classes, oids): (Vec<u32>, Vec<u32>) =
        objects.iter().map(|object| (object.class, object.oid)).unzip();
    let sql = include_str!("../sql/extensions_of_objects.sql");
    let rows = client.query(sql, &[&classes, &oids]).await.map_err(failed)?;
    let read = |row: &Row| {
        let object = CatalogId { class: row.try_get(0)?, oid: row.try_get(1)? };
        Ok((object, row.try_get::<_, Lossy>(2)?.0))
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}
