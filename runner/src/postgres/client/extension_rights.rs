//! Rights of users on the objects of an extension. The script of an update may drop objects and create them again, as that of
//! `pg_stat_statements` does with its view: rights that were granted on them are lost then, and what was revoked is granted again.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use super::database_error::DatabaseError;
use super::error::ServerError;
use super::query::strings_with;

/// Statements that make the rights on an extension's objects differ from what its script gave.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExtensionRights(BTreeSet<String>);

impl ExtensionRights {
    /// Reads them from the database that `client` is connected to.
    pub async fn read(client: &Client, extension: &str) -> Result<Self, ServerError> {
        let sql = include_str!("../sql/extension_rights.sql");
        let statements = strings_with(client, "rights on objects of extensions", sql, &[&extension]).await?;
        Ok(Self(statements.into_iter().collect()))
    }

    /// What of them a later state no longer has.
    fn lost_in<'a>(&'a self, now: &'a Self) -> impl Iterator<Item = &'a String> {
        self.0.difference(&now.0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives them again in the transaction that has updated the extension, and commits it. Returns what an operator must do about
    /// those that are on objects which the new version no longer has.
    pub async fn restore_and_commit(
        &self,
        client: &Client,
        extension: &str,
    ) -> Result<Vec<String>, ServerError> {
        let failed = ServerError::execute("give rights on objects of an extension again");
        // The names of objects are written as they were read before.
        client.batch_execute("SET LOCAL search_path = pg_catalog, pg_temp").await.map_err(failed)?;
        let now = Self::read(client, extension).await?;
        let mut left = Vec::new();
        for statement in self.lost_in(&now) {
            match client.batch_execute(&format!("SAVEPOINT one; {statement}; RELEASE one")).await {
                Ok(()) => tracing::info!("extension {extension}: {statement}"),
                Err(error) if error.as_db_error().is_some() => {
                    client.batch_execute("ROLLBACK TO one").await.map_err(failed)?;
                    left.push(not_restored(statement, &error.into()));
                }
                Err(error) => return Err(failed(error)),
            }
        }
        client.batch_execute("COMMIT").await.map_err(failed)?;
        Ok(left)
    }
}

fn not_restored(statement: &str, error: &DatabaseError) -> String {
    format!(
        "its update has ended a right that users had changed: {statement} ({error}); give it on the object that has replaced it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::error::SqlState;

    fn rights(statements: &[&str]) -> ExtensionRights {
        ExtensionRights(statements.iter().map(|&it| it.to_owned()).collect())
    }

    #[test]
    fn rights_that_an_update_ends_are_those_that_only_the_old_version_had() {
        let before = rights(&[
            "GRANT SELECT ON TABLE public.v TO monitor",
            "REVOKE SELECT ON TABLE public.v FROM PUBLIC",
        ]);
        let now = rights(&[
            "GRANT EXECUTE ON ROUTINE public.f() TO PUBLIC",
            "GRANT SELECT ON TABLE public.v TO monitor",
        ]);
        assert_eq!(before.lost_in(&now).collect::<Vec<_>>(), ["REVOKE SELECT ON TABLE public.v FROM PUBLIC"]);
        assert_eq!(before.lost_in(&before).count(), 0);
    }

    #[test]
    fn right_on_an_object_of_the_old_version_is_left_to_an_operator_with_its_statement() {
        let error = DatabaseError::reported(
            "ERROR: function public.f(oid) does not exist",
            SqlState::UNDEFINED_FUNCTION,
        );
        let text = not_restored("GRANT EXECUTE ON ROUTINE public.f(oid) TO monitor", &error);
        assert!(
            text.contains("GRANT EXECUTE ON ROUTINE public.f(oid) TO monitor (ERROR: function public.f(oid)"),
            "{text}"
        );
    }
}
