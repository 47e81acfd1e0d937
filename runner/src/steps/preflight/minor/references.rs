//! What definitions and settings name, and the image lacks. Nothing is restored: the definitions are read on the serving server,
//! as it prints them, which evaluates none of them.

use pgops_api::display_chain;
use pgops_api::plan::UpgradeKind;
use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::client::inventory::Inventory;
use crate::postgres::server::scratch::Scratch;
use crate::steps::preflight::references::References;
use crate::upgrade::{Finding, StepError, UpgradeContext, shortened};

/// The findings; the server of `cluster` runs.
pub async fn findings(
    upgrade: &UpgradeContext,
    ip: &str,
    serving: &Client,
    cluster: &Scratch,
    inventory: &Inventory,
) -> Result<Vec<Finding>, StepError> {
    let scratch = cluster.connect("postgres").await?;
    let mut references = References::begin(serving, &scratch, cluster.programs(), UpgradeKind::Minor).await?;
    let mut unread = Vec::new();
    for database in &inventory.databases {
        match read(&mut references, upgrade, ip, (cluster, &scratch), database).await {
            // A lock, or something that this database alone contains.
            Err(error) if is_of_database(&error) => {
                unread.push(format!("\"{database}\": {}", display_chain(&error)));
            }
            read => read?,
        }
    }
    let mut findings = references.finish();
    findings.extend(not_examined(&unread));
    Ok(findings)
}

async fn read(
    references: &mut References,
    upgrade: &UpgradeContext,
    ip: &str,
    (cluster, scratch): (&Scratch, &Client),
    database: &str,
) -> Result<(), ServerError> {
    let client = upgrade.superuser.connect(ip, database).await?;
    // Printing a definition locks its tables, if only against changes of them.
    let failed = ServerError::execute("limit the time to wait for locks");
    client.batch_execute("SET lock_timeout = '10s'").await.map_err(failed)?;
    references.read_source(&client, cluster, database).await?;
    references.read_definitions(&client, scratch, database, upgrade.old_major).await
}

fn is_of_database(error: &ServerError) -> bool {
    error.is_permanent() || error.is_lock_timeout()
}

/// Without them the upgrade is not refused: they worked before, and most images lack nothing.
fn not_examined(databases: &[String]) -> Option<Finding> {
    (!databases.is_empty()).then(|| {
        let text = format!(
            "not all definitions of these databases could be compared with what the target image has, such as time zones; a dry run \
             shows whether they can be later: {}",
            shortened(databases)
        );
        Finding::note("definitions-not-examined", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::client::database_error::DatabaseError;
    use tokio_postgres::error::SqlState;

    #[test]
    fn locked_definitions_do_not_block_a_minor_upgrade() {
        let failed = |code| ServerError::Query {
            what: "definitions with time zones",
            source: DatabaseError::reported("canceling statement due to lock timeout", code),
        };
        assert!(is_of_database(&failed(SqlState::LOCK_NOT_AVAILABLE)));
        assert!(is_of_database(&failed(SqlState::DATA_CORRUPTED)));
        assert!(!is_of_database(&failed(SqlState::ADMIN_SHUTDOWN)));
    }

    #[test]
    fn databases_that_were_not_examined_are_noted_and_documented() {
        assert_eq!(not_examined(&[]), None);
        let found = not_examined(&["\"shop\": lock timeout".to_owned()]).unwrap();
        assert!(!found.blocks() && found.text.ends_with(": \"shop\": lock timeout"), "{found}");
        let page = include_str!("../../../../../docs/reference/findings.md");
        assert!(page.contains(&format!("`{}`", found.id)));
    }
}
