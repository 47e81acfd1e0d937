//! Extensions: `pg_upgrade` brings each along in its old SQL version, whatever the new installation has.

use std::fmt;

use pgops_api::display_chain;
use tokio_postgres::Client;

use crate::postgres::client::session::{ServerError, Superuser, identifier, lasting};

/// An extension whose objects are of another version than the installation's default.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outdated {
    /// Its name.
    pub name: String,
    /// The version that its objects have.
    pub installed: String,
    /// The version that the installation would give it.
    pub default: String,
}

/// An extension that stays as it is, and what a person can do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotUpdated {
    /// The database that it is in.
    pub database: String,
    /// The extension.
    pub extension: Outdated,
    /// Why, and what to do about it.
    pub why: String,
}

impl fmt::Display for NotUpdated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outdated { name, installed, default } = &self.extension;
        write!(
            f,
            "extension \"{name}\" of database \"{}\" stays at {installed}, the image brings {default}: {}",
            self.database, self.why
        )
    }
}

impl Outdated {
    /// The first and only statement of a session, as `timescaledb` demands. Members of the `PostGIS` family
    /// need no more: their own function does the same to each that is installed.
    #[must_use]
    pub fn statement(&self) -> String {
        format!("ALTER EXTENSION {} UPDATE", identifier(&self.name))
    }

    /// What a person must do, where the update would break what uses the extension.
    #[must_use]
    pub fn by_hand(&self) -> Option<&'static str> {
        let major = |version: &str| version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        let crosses = |border| major(&self.installed) < Some(border) && major(&self.default) >= Some(border);
        (self.name == "pg_partman" && crosses(5)).then_some(
            "version 5 dropped trigger-based partitioning: follow its own upgrade instructions, then update it",
        )
    }
}

/// Locks of running transactions are waited for so long, and not for ever: others queue behind us.
const PATIENCE: &str = "-c lock_timeout=60s";

/// The outdated extensions of the database that `client` is connected to, in an order in which they can be updated.
pub async fn outdated(client: &Client) -> Result<Vec<Outdated>, ServerError> {
    // An extension is made after those that it needs.
    let sql = "SELECT e.extname::text, e.extversion, a.default_version FROM pg_extension e \
               JOIN pg_available_extensions a ON a.name = e.extname \
               WHERE a.default_version <> e.extversion ORDER BY e.oid";
    let failed = |source| ServerError::Query { what: "its extensions", source };
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &tokio_postgres::Row| {
        Ok(Outdated { name: row.try_get(0)?, installed: row.try_get(1)?, default: row.try_get(2)? })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// Updates an extension of a server of `major`, in a session of its own; gives what a person must do where that does
/// not work.
pub async fn update(
    superuser: &Superuser,
    host: &str,
    major: u32,
    database: &str,
    extension: Outdated,
) -> Result<Option<NotUpdated>, ServerError> {
    let not_updated =
        |extension, why: String| Ok(Some(NotUpdated { database: database.to_owned(), extension, why }));
    if let Some(why) = extension.by_hand() {
        return not_updated(extension, why.to_owned());
    }
    let settings = format!("{PATIENCE} {}", lasting(major));
    let client = superuser.connect_with(host, database, &settings).await?;
    let statement = extension.statement();
    match client.batch_execute(&statement).await {
        Ok(()) => Ok(None),
        Err(error) => {
            let why = format!("{}; mend that, then run {statement} there", display_chain(&error));
            not_updated(extension, why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outdated(name: &str, installed: &str, default: &str) -> Outdated {
        Outdated { name: name.into(), installed: installed.into(), default: default.into() }
    }

    #[test]
    fn the_name_of_an_extension_is_quoted() {
        assert_eq!(outdated("uuid-ossp", "1.0", "1.1").statement(), "ALTER EXTENSION \"uuid-ossp\" UPDATE");
    }

    #[test]
    fn only_an_update_that_breaks_its_users_is_left_to_a_person() {
        assert!(outdated("pg_partman", "4.7.4", "5.2.4").by_hand().is_some());
        assert_eq!(outdated("pg_partman", "5.0.0", "5.2.4").by_hand(), None);
        assert_eq!(outdated("pg_partman", "4.6.0", "4.7.4").by_hand(), None);
        assert_eq!(outdated("hstore", "4.7", "5.1").by_hand(), None);
    }

    #[test]
    fn an_extension_that_stays_is_told_with_database_versions_and_remedy() {
        let extension = outdated("postgis", "3.3.2", "3.5.0");
        let text = NotUpdated { database: "geo".into(), extension, why: "no path; run X".into() }.to_string();
        assert_eq!(
            text,
            "extension \"postgis\" of database \"geo\" stays at 3.3.2, the image brings 3.5.0: no path; run X"
        );
    }
}
