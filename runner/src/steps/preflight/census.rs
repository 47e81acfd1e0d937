//! Compares everything that the catalogs of the serving database hold with what a restore of its dump has made of it: what
//! a dump leaves out would be lost without a word.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use pgops_api::display_chain;
use tokio_postgres::Client;

use crate::postgres::census::compare::{
    Change, Difference, differences, differing, readable, without_consequences,
};
use crate::postgres::census::read::{Census, Horizon, kind};
use crate::postgres::census::rules::{Meaning, meaning};
use crate::postgres::client::error::ServerError;
use crate::upgrade::{CensusBaseline, DatabaseCensus, Finding, shortened};

/// The columns that it reads, and the objects that it names, exist since this version.
pub const SINCE: u32 = 13;
/// Tablespaces are not restored into a scratch server.
const NOT_REHEARSED: &str = "pg_tablespace";
/// A database has at most this many rows in the baseline, and all of them this many: of larger ones only digests are kept.
const MAX_ROWS: u64 = 200_000;
const MAX_ROWS_OF_ALL: u64 = 500_000;

/// What was compared so far.
#[derive(Default)]
pub struct Comparison {
    census: Option<Census>,
    found: Vec<Found>,
    kinds: BTreeSet<String>,
    rows: u64,
    baseline: CensusBaseline,
    kept_rows: u64,
    /// Databases that could not be compared, with the reason.
    failed: Vec<String>,
}

/// A difference, and the database that has it.
struct Found {
    database: String,
    difference: Difference,
}

/// How much was compared.
#[derive(Debug, Default)]
pub struct Extent {
    pub rows: u64,
    pub kinds: usize,
}

impl Comparison {
    /// Compares a restored database with its source; what has changed since `horizon`, which is read before the dump, is not
    /// compared. That it cannot be compared, as when a client drops a table at this
    /// moment, is a note.
    pub async fn check_restored(
        &mut self,
        source: &Client,
        restored: &Client,
        database: &str,
        horizon: Horizon,
    ) {
        if let Err(error) = self.compare(source, restored, database, horizon).await {
            self.failed.push(format!("\"{database}\" ({})", display_chain(&error)));
        }
    }

    async fn compare(
        &mut self,
        source: &Client,
        restored: &Client,
        database: &str,
        horizon: Horizon,
    ) -> Result<(), ServerError> {
        let census = match &mut self.census {
            Some(census) => census,
            none => none.insert(Census::between(source, restored).await?),
        };
        let before = census.digests(source).await?;
        let after = census.digests(restored).await?;
        let mut found = Vec::new();
        for catalog in differing(&before, &after).into_iter().filter(|catalog| is_rehearsed(catalog)) {
            let mut rows = census.rows(source, catalog).await?;
            rows.retain(|row| !horizon.may_precede(row.xmin) && !is_about_tablespace(catalog, &row.identity));
            let restored = census.rows(restored, catalog).await?;
            found.extend(differences(catalog, &census.fields(catalog), &rows, &restored));
        }
        let rows = before.iter().map(|digest| digest.rows).sum::<u64>();
        let keeps_rows = rows <= MAX_ROWS && self.kept_rows + rows <= MAX_ROWS_OF_ALL;
        let mut fingerprints = if keeps_rows { census.fingerprints(source).await? } else { Vec::new() };
        // What differs already is reported now, and expected afterwards.
        let differing: HashSet<_> =
            found.iter().map(|found| (found.catalog.as_str(), found.identity.as_str())).collect();
        fingerprints.retain(|row| !differing.contains(&(row.catalog.as_str(), row.identity.as_str())));
        self.kept_rows += u64::try_from(fingerprints.len()).unwrap_or(u64::MAX);
        self.rows += rows;
        self.kinds.extend(before.iter().filter(|digest| digest.rows > 0).map(|digest| digest.name.clone()));
        let mut digests = before;
        digests.retain(|digest| found.iter().all(|found| found.catalog != digest.name));
        self.baseline.databases.push(DatabaseCensus {
            name: database.to_owned(),
            digests,
            rows: fingerprints,
        });
        for difference in without_consequences(found) {
            let is_known = |known: &Found| difference.is_shared() && known.difference == difference;
            if !self.found.iter().any(is_known) {
                self.found.push(Found { database: database.to_owned(), difference });
            }
        }
        Ok(())
    }

    /// All findings, how much was compared, and what to compare with after `pg_upgrade`.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Finding>, Extent, CensusBaseline) {
        if let Some(census) = &self.census {
            self.baseline.columns.clone_from(census.common());
        }
        let unknown = self.census.as_ref().map_or(&[][..], Census::unknown);
        let mut findings = findings(&self.found);
        findings.extend((!unknown.is_empty()).then(|| not_compared(unknown)));
        findings.extend((!self.failed.is_empty()).then(|| not_comparable(&self.failed)));
        (findings, Extent { rows: self.rows, kinds: self.kinds.len() }, self.baseline)
    }
}

fn is_rehearsed(catalog: &str) -> bool {
    catalog.trim_start_matches("rights:") != NOT_REHEARSED
}

/// Whether a row is the comment or the label of a tablespace.
fn is_about_tablespace(catalog: &str, identity: &str) -> bool {
    match catalog {
        "pg_shdescription" => identity.starts_with("tablespace "),
        "pg_shseclabel" => identity.contains(" on tablespace "),
        _ => false,
    }
}

/// One finding for what is lost, and one for each text of what is told.
fn findings(found: &[Found]) -> Vec<Finding> {
    let mut lost = BTreeMap::<_, Vec<_>>::new();
    let mut told = BTreeMap::<_, Vec<_>>::new();
    for found in found {
        match meaning(&found.difference) {
            Meaning::Lost => lost.entry(kind(&found.difference.catalog)).or_default().push(found.to_string()),
            Meaning::Told(text) => told.entry(text).or_default().push(found.to_string()),
        }
    }
    let lost =
        lost.iter().map(|(kind, objects)| format!("{kind}: {}", shortened(objects))).collect::<Vec<_>>();
    let lost = (!lost.is_empty()).then(|| {
        let what = "pg_upgrade would lose these objects, or the changes of them, without a word, since a dump leaves out what \
                    is in the schemas of the system and what was changed of what is built in; move them into a schema of \
                    your own (ALTER … SET SCHEMA), or drop them; undo a change of what is built in, and make it again \
                    after the upgrade";
        Finding::new("not-carried", format!("{what}: {}", lost.join("; ")))
    });
    let told = told
        .iter()
        .map(|(text, objects)| Finding::note("not-carried", format!("{text}: {}", shortened(objects))));
    lost.into_iter().chain(told).collect()
}

fn not_compared(unknown: &[String]) -> Finding {
    let text = format!(
        "this pgops does not know these columns of system catalogs, and does not compare what they hold; a newer pgops may: {}",
        shortened(unknown)
    );
    Finding::note("catalog-not-compared", text)
}

fn not_comparable(failed: &[String]) -> Finding {
    let text = format!(
        "what the system catalogs of these databases hold could not be compared, so what a dump leaves out is not known: {}",
        shortened(failed)
    );
    Finding::note("catalog-not-compared", text)
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { database, difference } = self;
        write!(f, "{}", readable(&difference.identity))?;
        if let Change::Columns(columns) = &difference.change {
            write!(f, " (changed: {})", columns.join(", "))?;
        }
        if difference.is_shared() { Ok(()) } else { write!(f, " in \"{database}\"") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(catalog: &str, identity: &str, change: Change) -> Found {
        let difference = Difference { catalog: catalog.into(), identity: identity.into(), change };
        Found { database: "shop".into(), difference }
    }

    #[test]
    fn equal_databases_have_no_finding() {
        assert_eq!(findings(&[]), []);
    }

    #[test]
    fn lost_objects_block_and_are_named_by_kind() {
        let found = [
            found("pg_proc", "pg_catalog.lost(integer)", Change::Missing),
            found("pg_ts_dict", "\"pg_catalog\".\"english_stem\"", Change::Missing),
        ];
        let findings = findings(&found);
        assert_eq!(findings.len(), 1);
        let text = findings[0].to_string();
        assert!(findings[0].blocks(), "{text}");
        for part in [
            "[not-carried] ",
            "functions: pg_catalog.lost(integer) in \"shop\"",
            "text search dictionaries: pg_catalog.english_stem in \"shop\"",
            "SET SCHEMA",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn change_of_a_detail_is_told_with_its_columns() {
        let findings = findings(&[found("pg_class", "s.t", Change::Columns(vec!["reloptions", "relam"]))]);
        assert!(findings.iter().all(|finding| !finding.blocks()), "{findings:?}");
        assert!(findings[0].text.ends_with(": s.t (changed: reloptions, relam) in \"shop\""), "{findings:?}");
    }

    #[test]
    fn loss_that_is_told_does_not_block() {
        let findings = findings(&[found("pg_replication_origin", "feed", Change::Missing)]);
        assert!(findings.iter().all(|finding| !finding.blocks()), "{findings:?}");
        assert!(findings[0].text.ends_with(": feed"), "{findings:?}");
    }

    #[test]
    fn columns_of_later_versions_are_named() {
        let finding = not_compared(&["pg_proc.pronew".into()]);
        assert!(!finding.blocks() && finding.text.ends_with("pg_proc.pronew"), "{finding}");
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
