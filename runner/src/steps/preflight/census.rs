//! Compares everything that the catalogs of the serving database hold with what a restore of its dump has made of it: what
//! a dump leaves out would be lost without a word.

mod findings;

use std::collections::BTreeSet;

use pgops_api::display_chain;
use tokio_postgres::Client;

use crate::postgres::archive::secrets::HIDDEN_COLUMNS;
use crate::postgres::census::compare::{
    CatalogDigest, Change, Difference, changed_rows, differences, differing, readable, without_consequences,
};
use crate::postgres::census::dropped::dropped;
use crate::postgres::census::read::{Census, Horizon, existing_droppable, horizon};
use crate::postgres::census::row_digests::differing_identities;
use crate::postgres::census::sql::BuiltIn;
use crate::postgres::client::error::ServerError;
use crate::upgrade::{CensusBaseline, DatabaseCensus, Finding};
use findings::{Found, dropped_built_in, findings, not_comparable, not_compared};

/// The columns that it reads, and the objects that it names, exist since this version.
const SINCE: u32 = 13;
/// Tablespaces are not restored into a scratch server.
const NOT_REHEARSED: &str = "pg_tablespace";
/// How many rows of a database, and of all databases, are in the baseline at most: of the catalogs with most rows only
/// digests are kept.
const MAX_ROWS: u64 = 200_000;
const MAX_ROWS_OF_ALL: u64 = 500_000;

/// Of a catalog with more rows only those are read that differ, and at most that many of these.
const MAX_ROWS_READ: u64 = 20_000;
const MAX_DIFFERING: usize = 20_000;

/// What was compared so far.
#[derive(Default)]
pub struct Comparison {
    major: u32,
    census: Option<Census>,
    found: Vec<Found>,
    /// What was dropped of what `initdb` created, with its database.
    dropped: Vec<String>,
    kinds: BTreeSet<String>,
    rows: u64,
    baseline: CensusBaseline,
    kept_rows: u64,
    /// Databases that could not be compared, with the reason.
    failed: Vec<String>,
}

/// A serving database as it was before its dump began.
pub struct BeforeDump {
    /// What has changed since then is not in the dump, as far as is known.
    horizon: Horizon,
    digests: Vec<CatalogDigest>,
    /// A digest of the expressions that use code of users.
    expressions: String,
}

impl BeforeDump {
    /// Reads a serving database. To be called before it is dumped: what changes later must be noticed before the database is
    /// stopped.
    pub async fn read(census: &Census, source: &Client, expressions: &str) -> Result<Self, ServerError> {
        Ok(Self {
            horizon: horizon(source).await?,
            digests: census.digests(source).await?,
            expressions: expressions.to_owned(),
        })
    }
}

/// How much was compared.
#[derive(Debug, Default)]
pub struct Extent {
    pub rows: u64,
    pub kinds: usize,
}

impl Comparison {
    /// Prepares the comparison of a serving server of `major` with a scratch server. That it cannot be made is a note.
    pub async fn begin(serving: &Client, scratch: &Client, major: u32) -> Self {
        let mut comparison = Self { major, ..Self::default() };
        if major >= SINCE {
            match Census::between(serving, scratch).await {
                Ok(census) => comparison.census = Some(census),
                Err(error) => comparison.failed.push(format!("all ({})", display_chain(&error))),
            }
        }
        comparison
    }

    /// How databases are compared; `None` if they are not.
    #[must_use]
    pub fn census(&self) -> Option<&Census> {
        self.census.as_ref()
    }

    /// Compares a restored database with its source, which is as `before` has it; what has changed since is not compared. That
    /// it cannot be compared, as when a client drops a table at this moment, is a note.
    pub async fn check_restored(
        &mut self,
        source: &Client,
        restored: &Client,
        database: &str,
        before: Result<BeforeDump, ServerError>,
    ) {
        let compared = match before {
            Ok(before) => self.compare(source, restored, database, before).await,
            Err(error) => Err(error),
        };
        if let Err(error) = compared {
            self.failed.push(failure(database, &error));
        }
    }

    async fn compare(
        &mut self,
        source: &Client,
        restored: &Client,
        database: &str,
        before: BeforeDump,
    ) -> Result<(), ServerError> {
        let Some(census) = &self.census else { return Ok(()) };
        let BeforeDump { horizon, digests, expressions } = before;
        // What the source does not have cannot be lost.
        let with_rows = digests.iter().filter(|digest| digest.rows > 0);
        let with_rows: BTreeSet<_> = with_rows.map(|digest| digest.name.as_str()).collect();
        let after = census.digests_of(restored, &with_rows).await?;
        let differing: BTreeSet<_> =
            differing(&digests, &after).into_iter().filter(|catalog| is_rehearsed(catalog)).collect();
        let mut found = Vec::new();
        for catalog in &differing {
            let only = match digests.iter().find(|digest| digest.name == **catalog) {
                Some(digest) if digest.rows > MAX_ROWS_READ => {
                    let source = census.row_digests(source, catalog, BuiltIn::Changed).await?;
                    let restored = census.row_digests(restored, catalog, BuiltIn::All).await?;
                    Some(differing_identities(&source, &restored, MAX_DIFFERING))
                }
                _ => None,
            };
            let only = only.as_deref();
            let mut rows = census.rows(source, catalog, BuiltIn::Changed, only).await?;
            rows.retain(|row| !horizon.may_precede(row.xmin) && !is_about_tablespace(catalog, &row.identity));
            let restored = census.rows(restored, catalog, BuiltIn::All, only).await?;
            let differences = differences(catalog, &census.fields(catalog), &rows, &restored);
            found.extend(differences.into_iter().filter_map(without_hidden));
        }
        let budget = MAX_ROWS.min(MAX_ROWS_OF_ALL.saturating_sub(self.kept_rows));
        let kept = catalogs_within(&digests, budget);
        let rows = census.fingerprints(source, &kept).await?;
        let of_differing: BTreeSet<_> = kept.intersection(&differing).copied().collect();
        let restored = census.fingerprints(restored, &of_differing).await?;
        let mut not_carried = Vec::new();
        for row in changed_rows(&rows, &restored) {
            if of_differing.contains(row.catalog.as_str())
                && !is_about_tablespace(&row.catalog, &row.identity)
                && !may_be_hidden(&row)
            {
                not_carried.push((row.catalog, row.identity));
            }
        }
        let existing = existing_droppable(source).await?;
        let dropped = dropped(self.major, &existing);
        self.dropped.extend(dropped.iter().map(|name| format!("{} in \"{database}\"", readable(name))));
        self.kept_rows += u64::try_from(rows.len()).unwrap_or(u64::MAX);
        self.rows += digests.iter().map(|digest| digest.rows).sum::<u64>();
        self.kinds.extend(digests.iter().filter(|digest| digest.rows > 0).map(|digest| digest.name.clone()));
        let differing = differing.into_iter().map(ToOwned::to_owned).collect();
        let name = database.to_owned();
        let expressions = Some(expressions);
        let database_census = DatabaseCensus { name, digests, rows, not_carried, differing, expressions };
        self.baseline.databases.push(database_census);
        for difference in without_consequences(found) {
            let is_known = |known: &Found| difference.is_shared() && known.difference == difference;
            if !self.found.iter().any(is_known) {
                self.found.push(Found { database: database.to_owned(), difference });
            }
        }
        Ok(())
    }

    /// All findings, how much was compared, and what to compare with before the stop and after `pg_upgrade`.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Finding>, Extent, CensusBaseline) {
        if let Some(census) = &self.census {
            self.baseline.columns.clone_from(census.common());
        }
        let unknown = self.census.as_ref().map_or(&[][..], Census::unknown);
        let mut findings = findings(&self.found);
        findings.extend((!self.dropped.is_empty()).then(|| dropped_built_in(&self.dropped)));
        findings.extend((!unknown.is_empty()).then(|| not_compared(unknown)));
        findings.extend((!self.failed.is_empty()).then(|| not_comparable(&self.failed)));
        (findings, Extent { rows: self.rows, kinds: self.kinds.len() }, self.baseline)
    }
}

fn failure(database: &str, error: &ServerError) -> String {
    format!("\"{database}\" ({})", display_chain(error))
}

/// The catalogs with the fewest rows, as many as have at most that number of rows together.
fn catalogs_within(digests: &[CatalogDigest], mut rows: u64) -> BTreeSet<&str> {
    let mut by_size: Vec<_> = digests.iter().filter(|digest| digest.rows > 0).collect();
    by_size.sort_by_key(|digest| digest.rows);
    let fits = |digest: &&&CatalogDigest| match rows.checked_sub(digest.rows) {
        Some(left) => {
            rows = left;
            true
        }
        None => false,
    };
    by_size.iter().take_while(fits).map(|digest| digest.name.as_str()).collect()
}

fn is_rehearsed(catalog: &str) -> bool {
    catalog.trim_start_matches("rights:") != NOT_REHEARSED
}

/// A difference without the columns that the dump has without their passwords; `None` if there is no other.
fn without_hidden(mut difference: Difference) -> Option<Difference> {
    let Change::Columns(columns) = &mut difference.change else { return Some(difference) };
    let is_shown = |column: &&str| !HIDDEN_COLUMNS.contains(&(difference.catalog.as_str(), *column));
    columns.retain(|column| is_shown(column));
    (!columns.is_empty()).then_some(difference)
}

/// Whether a row may differ only because the dump was without a password: `pg_upgrade` carries it.
fn may_be_hidden(row: &Difference) -> bool {
    row.change != Change::Missing && HIDDEN_COLUMNS.iter().any(|(catalog, _)| *catalog == row.catalog)
}

/// Whether a row is the comment or the label of a tablespace.
fn is_about_tablespace(catalog: &str, identity: &str) -> bool {
    match catalog {
        "pg_shdescription" => identity.starts_with("tablespace "),
        "pg_shseclabel" => identity.contains(" on tablespace "),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::census::compare::CreatedBy;

    #[test]
    fn catalogs_with_the_fewest_rows_are_kept_within_the_budget() {
        let digest = |name: &str, rows| CatalogDigest { name: name.into(), rows, digest: "7".into() };
        let digests =
            [digest("pg_attribute", 900), digest("pg_proc", 60), digest("pg_type", 40), digest("pg_cast", 0)];
        assert_eq!(catalogs_within(&digests, 1000), BTreeSet::from(["pg_attribute", "pg_proc", "pg_type"]));
        assert_eq!(catalogs_within(&digests, 999), BTreeSet::from(["pg_proc", "pg_type"]));
        assert_eq!(catalogs_within(&digests, 39), BTreeSet::new());
    }

    #[test]
    fn password_that_the_dump_lacks_is_not_a_difference() {
        let changed = |catalog: &str, columns: &[&'static str]| Difference {
            catalog: catalog.into(),
            identity: "x".into(),
            created_by: CreatedBy::Users,
            change: Change::Columns(columns.to_vec()),
        };
        assert_eq!(without_hidden(changed("pg_user_mapping", &["umoptions"])), None);
        let subscription = without_hidden(changed("pg_subscription", &["subconninfo", "subslotname"]));
        assert_eq!(subscription, Some(changed("pg_subscription", &["subslotname"])));
        let proc = changed("pg_proc", &["prosrc"]);
        assert_eq!(without_hidden(proc.clone()), Some(proc.clone()));
        let missing = Difference { change: Change::Missing, ..changed("pg_user_mapping", &[]) };
        assert_eq!(without_hidden(missing.clone()), Some(missing.clone()));
        assert!(may_be_hidden(&changed("pg_user_mapping", &[])));
        assert!(!may_be_hidden(&missing) && !may_be_hidden(&proc));
    }

    #[test]
    fn object_whose_name_mentions_tablespaces_is_compared() {
        assert!(!is_about_tablespace("pg_proc", "\"pg_catalog\".\"move tablespace now\"()"));
        assert!(!is_about_tablespace("pg_shdescription", "role \"owner of tablespace fast\""));
    }

    #[test]
    fn tablespaces_are_not_rehearsed() {
        assert!(is_about_tablespace("pg_shdescription", "tablespace \"fast\""));
        assert!(is_about_tablespace("pg_shseclabel", "selinux on tablespace \"fast\""));
        assert!(
            is_rehearsed("pg_proc")
                && !is_rehearsed("pg_tablespace")
                && !is_rehearsed("rights:pg_tablespace")
        );
    }
}
