//! The time zones that stored results depend on: indexes, generated columns, checks, partitions and materialized views. The time zone
//! database changes several times a year, also for the past, and each image has the version of its day.

use std::collections::BTreeSet;

use tokio_postgres::{Client, Row};

use super::constants::{Place, of_body};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings, text};

const WHAT: &str = "time zones in stored expressions";

/// Time zones of a database.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StoredZones {
    /// Those that expressions and functions name, as they are written there.
    pub named: BTreeSet<String>,
    /// Whether an expression takes the name from a row, or from a function in which none was found.
    pub from_rows: bool,
}

/// Something that may name a time zone.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Source {
    Constant(String),
    /// The code of a function that converts to a time zone.
    Code(String),
    Rows,
}

/// Whether users have stored any result that the queries look at: most databases have none, and the queries take long to plan. Domains
/// of `information_schema` have checks, too.
const ANY_STORED: &str = "SELECT (EXISTS (SELECT FROM pg_index WHERE indexprs IS NOT NULL OR indpred IS NOT NULL) \
     OR EXISTS (SELECT FROM pg_attribute WHERE attgenerated <> '') \
     OR EXISTS (SELECT FROM pg_constraint WHERE contype = 'c' AND oid >= 16384) \
     OR EXISTS (SELECT FROM pg_partitioned_table WHERE partexprs IS NOT NULL) \
     OR EXISTS (SELECT FROM pg_class WHERE relkind = 'm'))::text";

/// The start of queries about stored expressions and the functions in them, on a server of that major version.
#[must_use]
pub fn with_stored_functions(query: &str, major: u32) -> String {
    let parsed = if major >= 14 { "pg_get_function_sqlbody(p.oid)" } else { "''" };
    let with = include_str!("../sql/stored_functions.sql").replace("{sql_body}", parsed);
    format!("{with}{query}")
}

/// The time zones of the database that `client` is connected to, on a server of that major version.
pub async fn stored_zones(client: &Client, major: u32) -> Result<StoredZones, ServerError> {
    if text(client, WHAT, ANY_STORED).await? == "false" {
        return Ok(StoredZones::default());
    }
    let failed = ServerError::query(WHAT);
    let sql = with_stored_functions(include_str!("../sql/stored_zones.sql"), major);
    let rows = client.query_typed(&sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    let read: Vec<_> = rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)?;
    let sources: Vec<_> = read.into_iter().map(Source::new).collect();
    // The server reads its files for this.
    let known = if sources.is_empty() { BTreeSet::new() } else { accepted_names(client).await? };
    Ok(StoredZones::of(&sources, &known))
}

/// What the server takes for a time zone, in lower case.
async fn accepted_names(client: &Client) -> Result<BTreeSet<String>, ServerError> {
    let sql = "SELECT lower(name) FROM pg_timezone_names UNION SELECT lower(abbrev) FROM pg_timezone_abbrevs";
    let names = strings(client, "time zones", sql).await?;
    Ok(names.into_iter().collect())
}

impl Source {
    fn new((kind, text): (String, String)) -> Self {
        match kind.as_str() {
            "constant" => Self::Constant(text),
            "code" => Self::Code(text),
            _ => Self::Rows,
        }
    }
}

impl StoredZones {
    /// Those of the sources that are `known` as time zones, in lower case.
    fn of(sources: &[Source], known: &BTreeSet<String>) -> Self {
        let is_known = |name: &String| known.contains(&name.to_lowercase());
        let mut zones = Self::default();
        for source in sources {
            match source {
                Source::Constant(name) => zones.named.extend(Some(name.clone()).filter(is_known)),
                Source::Code(code) => {
                    let constants = of_body(code).into_iter();
                    let named = constants.filter(|it| it.place == Place::TimeZone).map(|it| it.value);
                    let named: Vec<_> = named.filter(is_known).collect();
                    zones.from_rows |= named.is_empty();
                    zones.named.extend(named);
                }
                Source::Rows => zones.from_rows = true,
            }
        }
        zones
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(sources: &[Source]) -> (Vec<String>, bool) {
        let known = ["america/asuncion", "europe/berlin", "utc"].map(ToOwned::to_owned).into();
        let zones = StoredZones::of(sources, &known);
        (zones.named.into_iter().collect(), zones.from_rows)
    }

    #[test]
    fn all_that_is_stored_is_looked_for_first() {
        let sql = include_str!("../sql/stored_functions.sql");
        let (stored, _) = sql.split_once("written (oid, name)").unwrap();
        for part in [
            "indexprs IS NOT NULL OR indpred IS NOT NULL",
            "attgenerated <> ''",
            "contype = 'c'",
            "partexprs IS NOT NULL",
            "relkind = 'm'",
        ] {
            assert!(stored.contains(part) && ANY_STORED.contains(part), "{part}");
        }
        assert_eq!(stored.matches("UNION ALL").count(), 4, "nothing else is stored");
    }

    #[test]
    fn zones_are_constants_that_the_server_knows() {
        let constants =
            ["day", "America/Asuncion", "europe/BERLIN"].map(|it| Source::Constant(it.to_owned()));
        assert_eq!(
            zones(&constants),
            (vec!["America/Asuncion".to_owned(), "europe/BERLIN".to_owned()], false)
        );
    }

    #[test]
    fn zones_of_functions_are_found_in_their_code() {
        let code = Source::Code("SELECT ($1 AT TIME ZONE 'America/Asuncion')::date".to_owned());
        assert_eq!(zones(&[code]), (vec!["America/Asuncion".to_owned()], false));
        let computed = Source::Code("SELECT ($1 AT TIME ZONE $2)::date".to_owned());
        assert_eq!(zones(&[computed]), (Vec::new(), true));
        assert_eq!(zones(&[Source::Rows]), (Vec::new(), true));
    }

    #[test]
    fn code_that_is_stored_in_parsed_form_is_read_since_14() {
        assert!(with_stored_functions("SELECT 1", 14).contains("pg_get_function_sqlbody"));
        let before = with_stored_functions("SELECT 1", 13);
        assert!(!before.contains("pg_get_function_sqlbody") && !before.contains("{sql_body}"), "{before}");
        assert!(before.ends_with("SELECT 1"));
    }
}
