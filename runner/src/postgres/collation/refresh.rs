//! Records the current versions of collations in the catalog, once nothing is in the old order any more. Until then the
//! server warns in each session.

use tokio_postgres::Client;

use super::versions::{ChangedCollation, oids};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::strings_with;
use crate::postgres::client::session::with_default_search_path;

/// The statements that record the current version of those changed collations that have an older one.
pub async fn refresh_statements(
    client: &Client,
    major: u32,
    changed: &[ChangedCollation],
) -> Result<Vec<String>, ServerError> {
    let mut sql = include_str!("../sql/stale_collations.sql").to_owned();
    if major >= 15 {
        sql.push_str(include_str!("../sql/stale_default_collation.sql"));
    }
    strings_with(client, "collations with an outdated version", &sql, &[&oids(changed)]).await
}

/// Executes one of these statements.
pub async fn refresh(client: &Client, statement: &str) -> Result<(), ServerError> {
    let failed = ServerError::execute("refresh the version of a collation");
    with_default_search_path(client, statement).await.map_err(failed)
}
