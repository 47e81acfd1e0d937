//! Time zones that definitions name, and whether a server has them. The C library's files or the image's own define
//! them: a newer image may lack names that an older one has.

use std::collections::BTreeSet;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::constants::{Place, of_body, of_expression};
use super::definitions::{Definition, DefinitionKind};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings};
use crate::postgres::client::settings::{OWNER, STORED};

/// What happens if a named time zone does not exist.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ZoneUse {
    /// An expression fails whenever it is evaluated.
    Evaluated,
    /// Code of a function names it, or an expression yields the name.
    Mentioned,
}

/// The names of all time zones of a server, in lower case: it accepts them in any.
pub async fn zone_names(client: &Client) -> Result<BTreeSet<String>, ServerError> {
    let names = strings(client, "time zones", "SELECT name FROM pg_timezone_names").await?;
    Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect())
}

/// Settings of time zones that are kept: in files of settings other than initdb's, and stored with roles and databases;
/// each as the object and its value.
pub async fn zones_of_settings(client: &Client) -> Result<Vec<(String, String)>, ServerError> {
    let sql = format!(
        "SELECT 'setting ' || name, setting FROM pg_settings WHERE name IN ('TimeZone', 'log_timezone') \
         AND sourcefile ~ '/(user|postgresql\\.auto)\\.conf$' \
         UNION ALL \
         SELECT 'setting TimeZone of ' || {OWNER}, substr(setting, strpos(setting, '=') + 1) \
         FROM {STORED} WHERE setting ~* '^timezone='"
    );
    objects_with_zones(client, &sql).await
}

/// Functions of a database that set a time zone, each as the object and its value.
pub async fn zones_of_functions(client: &Client) -> Result<Vec<(String, String)>, ServerError> {
    let sql = "SELECT 'setting TimeZone of function ' || p.oid::regprocedure::text, \
                 substr(setting, strpos(setting, '=') + 1) \
               FROM pg_proc p CROSS JOIN unnest(p.proconfig) AS setting \
               WHERE p.oid >= 16384 AND setting ~* '^timezone='";
    objects_with_zones(client, sql).await
}

async fn objects_with_zones(client: &Client, sql: &str) -> Result<Vec<(String, String)>, ServerError> {
    let failed = ServerError::query("settings of time zones");
    let rows = client.query_typed(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    let mut objects: Vec<_> = rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)?;
    objects.sort();
    Ok(objects)
}

/// Whether a server accepts a time zone: as a name, as an abbreviation, or as a rule such as `EST5EDT`.
pub async fn is_accepted(client: &Client, zone: &str) -> Result<bool, ServerError> {
    match client.query("SELECT timezone($1::text, now())::text", &[&zone]).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => Ok(false),
        Err(error) => Err(ServerError::query("a time zone")(error)),
    }
}

/// The time zones that a definition names; `known` has the names of the serving database, in lower case.
///
/// Where no time zone is expected, a name counts only if it has a slash: `Cuba` and `Japan` are countries.
#[must_use]
pub fn zones_in(definition: &Definition, known: &BTreeSet<String>) -> BTreeSet<(String, ZoneUse)> {
    let constants = match definition.kind {
        DefinitionKind::Expression => of_expression(&definition.text),
        DefinitionKind::Body => of_body(&definition.text),
    };
    let named = constants.into_iter().filter_map(|constant| {
        let zone_use = match (definition.kind, constant.place) {
            (DefinitionKind::Expression, Place::TimeZone) => ZoneUse::Evaluated,
            (DefinitionKind::Body, Place::TimeZone) => ZoneUse::Mentioned,
            (_, Place::Elsewhere) if constant.value.contains('/') => ZoneUse::Mentioned,
            (_, Place::Elsewhere) => return None,
        };
        known.contains(&constant.value.to_ascii_lowercase()).then_some((constant.value, zone_use))
    });
    named.collect()
}

/// The current name of a time zone that is known by a former one.
#[must_use]
pub fn current_name(zone: &str) -> Option<&'static str> {
    let links = include_str!("time_zone_links.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut names = links.filter_map(|line| line.split_once('\t'));
    names.find(|(former, _)| former.eq_ignore_ascii_case(zone)).map(|(_, current)| current)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(text: &str, kind: DefinitionKind) -> Vec<(String, ZoneUse)> {
        let known = ["us/pacific", "cuba", "utc"].map(ToOwned::to_owned).into();
        let definition = Definition { object: "view v".into(), text: text.into(), kind };
        zones_in(&definition, &known).into_iter().collect()
    }

    #[test]
    fn zone_of_an_expression_is_evaluated() {
        assert_eq!(
            zones(
                "date_trunc('day'::text, (at AT TIME ZONE 'us/PACIFIC'::text))",
                DefinitionKind::Expression
            ),
            [("us/PACIFIC".to_owned(), ZoneUse::Evaluated)]
        );
    }

    #[test]
    fn zone_of_a_default_or_a_body_is_only_mentioned() {
        let mentioned = [("US/Pacific".to_owned(), ZoneUse::Mentioned)];
        assert_eq!(zones("'US/Pacific'::text", DefinitionKind::Expression), mentioned);
        assert_eq!(zones("RETURN now() AT TIME ZONE 'US/Pacific'", DefinitionKind::Body), mentioned);
    }

    #[test]
    fn countries_and_unknown_names_are_not_zones() {
        assert_eq!(zones("(country = 'Cuba'::text)", DefinitionKind::Expression), []);
        assert_eq!(zones("(at AT TIME ZONE 'Mars/Olympus'::text)", DefinitionKind::Expression), []);
    }

    #[test]
    fn former_names_have_a_current_one() {
        assert_eq!(current_name("us/pacific"), Some("America/Los_Angeles"));
        assert_eq!(current_name("Asia/Calcutta"), Some("Asia/Kolkata"));
        assert_eq!(current_name("America/Los_Angeles"), None);
    }
}
