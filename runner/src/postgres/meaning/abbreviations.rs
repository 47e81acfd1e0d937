//! Abbreviations of time zones that mean another offset to another version. Up to 17 `timezone_abbreviations` alone says what
//! `IST` is; since 18 the session's `TimeZone` is asked first (<https://www.postgresql.org/docs/18/release-18.html>).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings_with, text};
use crate::postgres::client::quote::literal;
use crate::postgres::client::settings::{OWNER, STORED};
use crate::postgres::references::definitions::{DefinitionKind, definitions_with_zones};
use crate::postgres::references::time_zones::zones_in;

const WHAT: &str = "abbreviations of time zones";

/// Offsets from UTC in seconds, by abbreviation.
type Offsets = BTreeMap<String, i32>;

/// An abbreviation whose meaning changes for some sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChangedAbbreviation {
    pub abbreviation: String,
    before: i32,
    after: i32,
    zone: String,
    /// Who has that time zone: the server, a database, a role.
    of: Vec<String>,
}

#[cfg(test)]
impl ChangedAbbreviation {
    pub fn of_kolkata() -> Self {
        Self {
            abbreviation: "IST".to_owned(),
            before: 7200,
            after: 19_800,
            zone: "Asia/Kolkata".to_owned(),
            of: vec!["database shop".to_owned()],
        }
    }
}

impl fmt::Display for ChangedAbbreviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { abbreviation, before, after, zone, of } = self;
        write!(f, "{abbreviation} with TimeZone {zone} of {}", of.first().map_or("", String::as_str))?;
        if of.len() > 1 {
            write!(f, " and {} more", of.len() - 1)?;
        }
        write!(f, " ({} before, {} then)", Offset(*before), Offset(*after))
    }
}

/// An offset as `+05:30`.
struct Offset(i32);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let minutes = self.0.unsigned_abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// The abbreviations that change for sessions with the time zones that are set in files, for databases and for roles.
pub async fn changed_abbreviations(
    serving: &Client,
    scratch: &Client,
) -> Result<Vec<ChangedAbbreviation>, ServerError> {
    let set = text(serving, WHAT, "SHOW timezone_abbreviations").await?;
    let mut changed = Vec::new();
    for (zone, of) in zones_of_sessions(serving).await? {
        let before = offsets(serving, &zone, &set).await?;
        // A time zone that the target lacks has a finding of its own.
        if let (Some(before), Some(after)) = (before, offsets(scratch, &zone, &set).await?) {
            changed.extend(compare(&before, &after, &zone, &of));
        }
    }
    Ok(changed)
}

fn compare(before: &Offsets, after: &Offsets, zone: &str, of: &[String]) -> Vec<ChangedAbbreviation> {
    let both = before.iter().filter_map(|(name, before)| Some((name, *before, *after.get(name)?)));
    let changed = both.filter(|(_, before, after)| before != after);
    let described = changed.map(|(name, before, after)| ChangedAbbreviation {
        abbreviation: name.clone(),
        before,
        after,
        zone: zone.to_owned(),
        of: of.to_vec(),
    });
    described.collect()
}

/// The time zones that sessions begin with, each with what sets it.
async fn zones_of_sessions(client: &Client) -> Result<BTreeMap<String, Vec<String>>, ServerError> {
    let sql = format!(
        "(SELECT setting, 'the server' FROM pg_file_settings WHERE lower(name) = 'timezone' AND setting IS NOT NULL \
           ORDER BY seqno DESC LIMIT 1) \
         UNION ALL SELECT substr(setting, strpos(setting, '=') + 1), {OWNER} FROM {STORED} WHERE setting ~* '^timezone='"
    );
    let failed = ServerError::query(WHAT);
    let rows = client.query(&sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    let mut zones = BTreeMap::<_, Vec<_>>::new();
    for row in &rows {
        let (zone, of) = read(row).map_err(failed)?;
        zones.entry(zone).or_default().push(of);
    }
    Ok(zones)
}

/// What abbreviations mean now to a session with that time zone and that set of abbreviations; `None` if the server lacks one of
/// them.
async fn offsets(client: &Client, zone: &str, set: &str) -> Result<Option<Offsets>, ServerError> {
    let failed = ServerError::query(WHAT);
    let begin = format!(
        "BEGIN; SET LOCAL TimeZone = {}; SET LOCAL timezone_abbreviations = {}",
        literal(zone),
        literal(set)
    );
    let rows = match client.batch_execute(&begin).await {
        Ok(()) => {
            let sql = "SELECT abbrev, extract(epoch FROM utc_offset)::int4 FROM pg_timezone_abbrevs";
            client.query(sql, &[]).await
        }
        Err(error) => Err(error),
    };
    client.batch_execute("ROLLBACK").await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
    match rows {
        Ok(rows) => rows.iter().map(read).collect::<Result<_, _>>().map(Some).map_err(failed),
        Err(error) if error.as_db_error().is_some() => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Expressions and bodies of functions, in the database of a server of `major` that `client` is connected to, that name one of the
/// abbreviations.
pub async fn definitions_naming(
    client: &Client,
    major: u32,
    changed: &[ChangedAbbreviation],
) -> Result<Vec<String>, ServerError> {
    let names: BTreeSet<_> = changed.iter().map(|changed| changed.abbreviation.as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let known: BTreeSet<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let definitions = definitions_with_zones(client, major).await?.into_iter();
    let expressions = definitions.filter(|definition| definition.kind == DefinitionKind::Expression);
    let naming = expressions.filter(|definition| !zones_in(definition, &known).is_empty());
    let mut objects: Vec<_> = naming.map(|definition| definition.object).collect();
    // In a text that is converted to a time, as in a constant, they are written in upper case.
    let bodies = "SELECT pg_describe_object('pg_proc'::regclass, p.oid, 0) \
                  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal') \
                  WHERE p.oid >= 16384 AND p.prosrc ~ $1 \
                  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
                    AND e.objid = p.oid AND e.deptype = 'e') ORDER BY 1";
    let letters = names.into_iter().filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric()));
    let pattern = format!("\\m({})\\M", letters.collect::<Vec<_>>().join("|"));
    objects
        .extend(strings_with(client, "bodies of functions with abbreviations", bodies, &[&pattern]).await?);
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(offsets: &[(&str, i32)]) -> Offsets {
        offsets.iter().map(|(name, offset)| ((*name).to_owned(), *offset)).collect()
    }

    #[test]
    fn abbreviation_is_changed_if_both_servers_know_it_and_differ() {
        let before = offsets(&[("IST", 7200), ("UTC", 0), ("OLD", 60)]);
        let after = offsets(&[("IST", 19_800), ("UTC", 0), ("NEW", 60)]);
        let found = compare(&before, &after, "Asia/Kolkata", &["database shop".to_owned()]);
        assert_eq!(found, [ChangedAbbreviation::of_kolkata()]);
        assert_eq!(
            found[0].to_string(),
            "IST with TimeZone Asia/Kolkata of database shop (+02:00 before, +05:30 then)"
        );
        assert_eq!(compare(&before, &before, "UTC", &[]), []);
    }

    #[test]
    fn offset_is_shown_with_its_sign() {
        assert_eq!(Offset(-34_200).to_string(), "-09:30");
        assert_eq!(Offset(0).to_string(), "+00:00");
    }
}
