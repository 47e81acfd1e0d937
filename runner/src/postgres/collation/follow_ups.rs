//! Objects other than indexes and partitions that store results of rules that have changed. No statement of `PostgreSQL` repairs
//! these: an operator decides.

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::dependents::Dependents;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::strings_with;

/// A sentence for each object, with what an operator can do about it.
pub async fn manual_follow_ups(client: &Client, dependents: &Dependents) -> Result<Vec<String>, ServerError> {
    let parameters: [&(dyn ToSql + Sync); 4] =
        [&dependents.reordered, &dependents.pattern, &dependents.words, &dependents.dictionaries];
    let sql = include_str!("../sql/manual_follow_ups.sql");
    strings_with(client, "objects that depend on rules of text and time", sql, &parameters).await
}
