//! Updates extensions: `pg_upgrade` carries each over in its old SQL version, whatever the new installation has.

use std::collections::BTreeMap;
use std::fmt;

use pgops_api::session_options::{SessionKind, session_options};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::database_error::DatabaseError;
use super::error::ServerError;
use super::extension_rights::ExtensionRights;
use super::query::strings;
use super::quote::identifier;
use super::session::Superuser;
use crate::postgres::extension::knowledge::Known;
use crate::postgres::extension::remedy::instead_of_update;

/// An extension whose objects have another version than the installation's default.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outdated {
    pub name: String,
    /// The version of its objects.
    pub installed: String,
    /// The version that the installation provides.
    pub default: String,
    /// Whose rights its script has.
    pub script: Script,
}

/// Whose rights the script of an update has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Script {
    /// A superuser's in any case: the extension belongs to one, or is trusted.
    Superuser,
    /// The caller's. It works on objects of the extension's owner, which is not a superuser, and must not have more rights.
    Caller { owner: String },
}

/// An extension that was not updated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotUpdated {
    pub database: String,
    pub extension: Outdated,
    /// The reason, and what an operator can do about it.
    pub why: String,
}

impl fmt::Display for NotUpdated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outdated { name, installed, default, .. } = &self.extension;
        write!(
            f,
            "extension \"{name}\" of database \"{}\" stays at {installed}, the image provides {default}: {}",
            self.database, self.why
        )
    }
}

impl Outdated {
    /// The first and only statement of a session, as `timescaledb` requires, unless users have changed rights on its objects. It is enough for members of the `PostGIS`
    /// family: their own function does the same to each that is installed.
    #[must_use]
    pub fn statement(&self) -> String {
        format!("ALTER EXTENSION {} UPDATE", identifier(&self.name))
    }

    /// What an operator must do if the update would break what uses the extension, or run code with rights that its owner
    /// does not have.
    #[must_use]
    pub fn manual_update(&self) -> Option<String> {
        if let Script::Caller { owner } = &self.script {
            return Some(format!(
                "its script would run as superuser on objects of \"{owner}\"; as that role, run {}",
                self.statement()
            ));
        }
        let manual = MANUAL_UPDATES.iter().find(|manual| manual.applies_to(self))?;
        Some(manual.why.to_owned())
    }

    /// What an operator can do after the server has rejected the update with this error.
    #[must_use]
    pub fn after_failure(&self, error: &DatabaseError, known: Option<&Known>) -> String {
        // `ApplyExtensionUpdates` and `identify_update_path`, src/backend/commands/extension.c: no script leads there.
        let has_no_path = error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE);
        let instead = has_no_path.then(|| instead_of_update(&self.name, known)).flatten();
        match instead {
            Some(instead) => format!("{error}; run {instead}"),
            None if lacks_cascade(error) => {
                format!(
                    "{error}; drop what depends on it, run {} and create it again there",
                    self.statement()
                )
            }
            None => format!("{error}; fix the cause, then run {} there", self.statement()),
        }
    }
}

/// Whether an update is rejected since the script drops what objects of users depend on.
#[must_use]
pub fn lacks_cascade(error: &DatabaseError) -> bool {
    error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST)
}

/// An update for which the script of the extension is not enough.
struct ManualUpdate {
    extension: &'static str,
    /// From any older version to this one or a newer one.
    to: (u32, u32),
    /// Why, and what an operator must do.
    why: &'static str,
}

const MANUAL_UPDATES: [ManualUpdate; 2] = [
    ManualUpdate {
        extension: "pg_partman",
        to: (5, 0),
        why: "version 5 dropped trigger-based partitioning: follow its own upgrade instructions, then update it",
    },
    // https://postgis.net/docs/FixCorruptTopoGeometryColumn.html: the script changes the type of TopoGeometry columns and not
    // the rows, in which other values are then read.
    ManualUpdate {
        extension: "postgis_topology",
        to: (3, 6),
        why: "version 3.6 reads existing TopoGeometry columns wrongly until each is fixed; while no client uses them, run in \
              one transaction ALTER EXTENSION postgis_topology UPDATE; SELECT \
              topology.FixCorruptTopoGeometryColumn(schema_name, table_name, feature_column) FROM topology.layer",
    },
];

impl ManualUpdate {
    fn applies_to(&self, outdated: &Outdated) -> bool {
        let has_it = |version: &str| major_and_minor(version) >= Some(self.to);
        self.extension == outdated.name && !has_it(&outdated.installed) && has_it(&outdated.default)
    }
}

fn major_and_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next().flatten().unwrap_or_default()))
}

/// How long to wait for locks of running transactions: other clients queue behind this session meanwhile.
pub const LOCK_TIMEOUT: &str = "-c lock_timeout=60s";

/// The outdated extensions of the database that `client` is connected to, on a server of `major`, in an order in which
/// they can be updated.
pub async fn outdated(client: &Client, major: u32) -> Result<Vec<Outdated>, ServerError> {
    let failed = ServerError::query("outdated extensions");
    let rows = client.query(&outdated_query(major), &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        let owner: Option<String> = row.try_get(3)?;
        let script = owner.map_or(Script::Superuser, |owner| Script::Caller { owner });
        Ok(Outdated { name: row.try_get(0)?, installed: row.try_get(1)?, default: row.try_get(2)?, script })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// The extensions of the database that `client` is connected to, each after those that it requires.
pub async fn installed(client: &Client) -> Result<Vec<String>, ServerError> {
    strings(client, "the extensions of a database", "SELECT extname::text FROM pg_extension ORDER BY oid")
        .await
}

/// The default versions of the extensions that the image of the server offers, by name.
pub async fn default_versions(client: &Client) -> Result<BTreeMap<String, String>, ServerError> {
    let failed = ServerError::query("the extensions that the server offers");
    let sql =
        "SELECT name::text, default_version FROM pg_available_extensions WHERE default_version IS NOT NULL";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    rows.iter().map(|row| Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?))).collect()
}

/// The last column is the owner, if the script would have the caller's rights and not a superuser's.
fn outdated_query(major: u32) -> String {
    // Trusted extensions exist since 13.
    let trusted = if major >= 13 { "COALESCE(v.trusted, false)" } else { "false" };
    // An extension is created after those that it requires.
    format!(
        "SELECT e.extname::text, e.extversion, a.default_version, \
         CASE WHEN NOT (o.rolsuper OR {trusted}) THEN o.rolname::text END FROM pg_extension e \
         JOIN pg_authid o ON o.oid = e.extowner JOIN pg_available_extensions a ON a.name = e.extname \
         LEFT JOIN pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version \
         WHERE a.default_version <> e.extversion ORDER BY e.oid"
    )
}

/// What became of an extension that was to be updated.
#[derive(Debug)]
pub enum Outcome {
    /// With what an operator must do about rights that could not be given again.
    Updated(Vec<String>),
    NotUpdated(NotUpdated),
}

/// Updates an extension on a server of `major`, in a session of its own, and gives rights on its objects again.
pub async fn update(
    superuser: &Superuser,
    host: &str,
    major: u32,
    database: &str,
    extension: Outdated,
    rights: &ExtensionRights,
    known: Option<&Known>,
) -> Result<Outcome, ServerError> {
    let database = database.to_owned();
    if let Some(why) = extension.manual_update() {
        return Ok(Outcome::NotUpdated(NotUpdated { database, extension, why }));
    }
    let client = superuser.connect_with(host, &database, &update_options(major)).await?;
    // In one transaction with the rights: the update of a worker that was killed in between would not be repeated.
    let begin = if rights.is_empty() { "" } else { "BEGIN; " };
    match client.batch_execute(&format!("{begin}{}", extension.statement())).await {
        Ok(()) if rights.is_empty() => Ok(Outcome::Updated(Vec::new())),
        Ok(()) => rights.restore_and_commit(&client, &extension.name).await.map(Outcome::Updated),
        Err(error) => {
            let why = extension.after_failure(&error.into(), known);
            Ok(Outcome::NotUpdated(NotUpdated { database, extension, why }))
        }
    }
}

/// The options of the session that begins with an update on a server of `major`.
#[must_use]
pub fn update_options(major: u32) -> String {
    format!("{} {LOCK_TIMEOUT}", session_options(SessionKind::Program, major))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::extension::knowledge::Knowledge;

    fn outdated(name: &str, installed: &str, default: &str) -> Outdated {
        Outdated {
            name: name.into(),
            installed: installed.into(),
            default: default.into(),
            script: Script::Superuser,
        }
    }

    #[test]
    fn extension_name_is_quoted() {
        assert_eq!(outdated("uuid-ossp", "1.0", "1.1").statement(), "ALTER EXTENSION \"uuid-ossp\" UPDATE");
    }

    #[test]
    fn extension_update_that_breaks_its_users_is_manual() {
        assert!(outdated("pg_partman", "4.7.4", "5.2.4").manual_update().is_some());
        assert_eq!(outdated("pg_partman", "5.0.0", "5.2.4").manual_update(), None);
        assert_eq!(outdated("pg_partman", "4.6.0", "4.7.4").manual_update(), None);
        assert_eq!(outdated("hstore", "4.7", "5.1").manual_update(), None);
        let topology = outdated("postgis_topology", "3.5.2", "3.6.4").manual_update().unwrap();
        assert!(topology.contains("FixCorruptTopoGeometryColumn"), "{topology}");
        assert_eq!(outdated("postgis_topology", "3.1.1", "3.5.2").manual_update(), None);
        assert_eq!(outdated("postgis_topology", "3.6.0", "3.10.1").manual_update(), None);
        assert!(outdated("postgis_topology", "3.5.2", "3.10.1").manual_update().is_some());
        assert_eq!(outdated("postgis", "3.5.2", "3.6.4").manual_update(), None);
    }

    #[test]
    fn extension_of_an_ordinary_role_is_left_to_its_owner() {
        let script = Script::Caller { owner: "app".into() };
        let why = Outdated { script, ..outdated("ledger", "1.0", "1.1") }.manual_update().unwrap();
        assert!(why.contains("as that role, run ALTER EXTENSION \"ledger\" UPDATE"), "{why}");
    }

    #[test]
    fn extension_without_update_path_is_dropped_and_created_again_if_it_holds_no_data() {
        let no_path = || {
            let text = "ERROR: extension has no update path";
            DatabaseError::reported(text, SqlState::INVALID_PARAMETER_VALUE)
        };
        let knowledge = Knowledge::new(&[]);
        let audit = outdated("pgaudit", "1.5", "1.7").after_failure(&no_path(), knowledge.get("pgaudit"));
        assert!(
            audit.contains("no update path; run DROP EXTENSION \"pgaudit\"; CREATE EXTENSION"),
            "{audit}"
        );
        // Its tables have data.
        let cron = outdated("pg_cron", "1.3", "1.6").after_failure(&no_path(), knowledge.get("pg_cron"));
        assert!(!cron.contains("DROP") && cron.contains("ALTER EXTENSION \"pg_cron\" UPDATE"), "{cron}");
    }

    #[test]
    fn extension_whose_update_fails_otherwise_is_not_to_be_dropped() {
        let locked = DatabaseError::reported("ERROR: lock timeout", SqlState::LOCK_NOT_AVAILABLE);
        let text =
            outdated("pgaudit", "1.5", "1.7").after_failure(&locked, Knowledge::new(&[]).get("pgaudit"));
        assert!(text.ends_with("fix the cause, then run ALTER EXTENSION \"pgaudit\" UPDATE there"), "{text}");
    }

    #[test]
    fn extension_whose_members_are_in_use_is_updated_once_these_users_are_dropped() {
        let text = "ERROR: cannot drop view pg_stat_statements because other objects depend on it";
        let error = DatabaseError::reported(text, SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
        let why = outdated("pg_stat_statements", "1.8", "1.12").after_failure(&error, None);
        let remedy = "drop what depends on it, run ALTER EXTENSION \"pg_stat_statements\" UPDATE and create it again there";
        assert!(why.ends_with(remedy), "{why}");
    }

    #[test]
    fn trusted_extensions_are_known_since_13() {
        assert!(!outdated_query(12).contains("v.trusted") && outdated_query(13).contains("v.trusted"));
    }

    #[test]
    fn not_updated_extension_is_shown_with_versions_and_remedy() {
        let extension = outdated("postgis", "3.3.2", "3.5.0");
        let text = NotUpdated { database: "geo".into(), extension, why: "no path; run X".into() }.to_string();
        assert_eq!(
            text,
            "extension \"postgis\" of database \"geo\" stays at 3.3.2, the image provides 3.5.0: no path; run X"
        );
    }
}
