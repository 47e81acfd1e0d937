//! What has happened to a database since its census: on the serving server, and on the new one.

use std::collections::{BTreeSet, HashSet};

use tokio_postgres::Client;

use super::DatabaseCensus;
use crate::postgres::census::compare::{
    Change, Difference, Fingerprint, changed_catalogs, changed_rows, differing, readable,
    without_consequences,
};
use crate::postgres::census::read::{Census, kind};
use crate::postgres::client::error::ServerError;

/// What has happened to a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Happened {
    Created,
    Changed,
    Missing,
}

impl DatabaseCensus {
    /// What the database of the new server lacks, or has with another definition, except in the `expected` catalogs.
    pub async fn lost(
        &self,
        census: &Census,
        client: &Client,
        expected: &BTreeSet<&str>,
    ) -> Result<Vec<String>, ServerError> {
        let with_rows = self.digests.iter().filter(|digest| digest.rows > 0);
        let with_rows: BTreeSet<_> = with_rows.map(|digest| digest.name.as_str()).collect();
        let after = census.digests_of(client, &with_rows).await?;
        let differing = differing(&self.digests, &after).into_iter();
        let differing: BTreeSet<_> = differing.filter(|catalog| !expected.contains(catalog)).collect();
        let (named, mut unnamed) = self.by_rows(&differing);
        // A restore differs in these anyway, and which rows those are is not known.
        unnamed.retain(|catalog| !self.differing.contains(*catalog));
        let after = census.fingerprints(client, &named).await?;
        Ok(self.texts(&unnamed, &self.missing_or_changed(&named, &after)))
    }

    /// What clients have created, changed or dropped in the serving database since the preflight looked.
    pub async fn changes(&self, census: &Census, client: &Client) -> Result<Vec<String>, ServerError> {
        let now = census.digests(client).await?;
        let mut changed = changed_catalogs(&self.digests, &now);
        changed.retain(|catalog| !is_data(catalog));
        let (named, unnamed) = self.by_rows(&changed);
        let now = census.fingerprints(client, &named).await?;
        let named = self.created_or_changed(&named, &now);
        // The rows were read after the dump: what has changed while it was made is among them already.
        Ok(self.texts(if named.is_empty() { &changed } else { &unnamed }, &named))
    }

    /// What has become of the expressions that use code of roles without superuser rights, if it is not the same; `now` is their
    /// digest.
    #[must_use]
    pub fn changed_expressions(&self, now: &str) -> Option<String> {
        let has_changed = self.expressions.as_ref().is_some_and(|before| before != now);
        let text = "expressions that use functions of roles without superuser rights changed";
        has_changed.then(|| format!("{text} in \"{}\"", self.name))
    }

    /// Those of the catalogs whose rows were kept, or that had none, and the others.
    fn by_rows<'a>(&self, catalogs: &BTreeSet<&'a str>) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
        let kept: HashSet<_> = self.rows.iter().map(|row| row.catalog.as_str()).collect();
        let had_rows =
            |catalog: &str| self.digests.iter().any(|digest| digest.name == catalog && digest.rows > 0);
        catalogs.iter().copied().partition(|catalog| kept.contains(catalog) || !had_rows(catalog))
    }

    fn rows_of(&self, catalogs: &BTreeSet<&str>) -> Vec<Fingerprint> {
        self.rows.iter().filter(|row| catalogs.contains(row.catalog.as_str())).cloned().collect()
    }

    fn missing_or_changed(
        &self,
        catalogs: &BTreeSet<&str>,
        after: &[Fingerprint],
    ) -> Vec<(Happened, Difference)> {
        let not_carried: HashSet<_> = self.not_carried.iter().collect();
        let mut before = self.rows_of(catalogs);
        before.retain(|row| !not_carried.contains(&(row.catalog.clone(), row.identity.clone())));
        without_consequences(changed_rows(&before, after)).into_iter().map(happened).collect()
    }

    fn created_or_changed(
        &self,
        catalogs: &BTreeSet<&str>,
        now: &[Fingerprint],
    ) -> Vec<(Happened, Difference)> {
        let before = self.rows_of(catalogs);
        let is_new = |difference: &Difference| difference.change == Change::Missing;
        let created = without_consequences(changed_rows(now, &before).into_iter().filter(is_new).collect());
        let created = created.into_iter().map(|difference| (Happened::Created, difference));
        let others = without_consequences(changed_rows(&before, now)).into_iter().map(happened);
        created.chain(others).collect()
    }

    fn texts(&self, unnamed: &BTreeSet<&str>, named: &[(Happened, Difference)]) -> Vec<String> {
        let unnamed = unnamed.iter().map(|catalog| format!("{} of \"{}\"", kind(catalog), self.name));
        named
            .iter()
            .map(|(happened, difference)| line(&self.name, *happened, difference))
            .chain(unnamed)
            .collect()
    }
}

fn happened(difference: Difference) -> (Happened, Difference) {
    let happened = match difference.change {
        Change::Missing => Happened::Missing,
        Change::Columns(_) => Happened::Changed,
    };
    (happened, difference)
}

/// Whether clients change the catalog with their data: large objects are rows of it.
fn is_data(catalog: &str) -> bool {
    matches!(catalog, "pg_largeobject_metadata" | "rights:pg_largeobject_metadata")
}

fn line(database: &str, happened: Happened, difference: &Difference) -> String {
    let happened = match happened {
        Happened::Created => "created",
        Happened::Changed => "changed",
        Happened::Missing => "missing",
    };
    let text = format!("{} ({}) {happened}", readable(&difference.identity), kind(&difference.catalog));
    if difference.is_shared() { text } else { format!("{text} in \"{database}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::census::compare::CatalogDigest;

    fn row(catalog: &str, identity: &str, fields: i64) -> Fingerprint {
        Fingerprint { catalog: catalog.into(), identity: identity.into(), fields }
    }

    fn digest(name: &str, rows: u64) -> CatalogDigest {
        CatalogDigest { name: name.into(), rows, digest: "7".into() }
    }

    fn shop(rows: &[Fingerprint]) -> DatabaseCensus {
        let digests = vec![digest("pg_proc", 2), digest("pg_attribute", 300_000), digest("pg_cast", 0)];
        DatabaseCensus { name: "shop".into(), digests, rows: rows.to_vec(), ..DatabaseCensus::default() }
    }

    #[test]
    fn rows_of_large_catalogs_are_compared_by_their_digests_alone() {
        let shop = shop(&[row("pg_proc", "s.f()", 1)]);
        let catalogs = BTreeSet::from(["pg_attribute", "pg_cast", "pg_proc"]);
        let (named, unnamed) = shop.by_rows(&catalogs);
        assert_eq!(named, BTreeSet::from(["pg_cast", "pg_proc"]));
        assert_eq!(unnamed, BTreeSet::from(["pg_attribute"]));
        assert_eq!(shop.texts(&unnamed, &[]), ["columns of \"shop\""]);
    }

    #[test]
    fn what_the_new_server_lacks_is_named_but_for_what_the_preflight_has_reported() {
        let shop = DatabaseCensus {
            not_carried: vec![("pg_proc".into(), "s.reported()".into())],
            ..shop(&[
                row("pg_proc", "s.f()", 1),
                row("pg_proc", "s.g()", 2),
                row("pg_proc", "s.reported()", 3),
            ])
        };
        let after = [row("pg_proc", "s.g()", 4), row("pg_proc", "s.new()", 5)];
        let found = shop.missing_or_changed(&BTreeSet::from(["pg_proc"]), &after);
        assert_eq!(
            shop.texts(&BTreeSet::new(), &found),
            ["s.f() (functions) missing in \"shop\"", "s.g() (functions) changed in \"shop\""]
        );
    }

    #[test]
    fn what_clients_have_created_changed_and_dropped_is_named() {
        let shop = shop(&[row("pg_proc", "s.f()", 1), row("pg_proc", "s.g()", 2), row("pg_cast", "c", 3)]);
        let now = [row("pg_proc", "s.g()", 4), row("pg_proc", "s.new()", 5)];
        let found = shop.created_or_changed(&BTreeSet::from(["pg_proc"]), &now);
        assert_eq!(
            shop.texts(&BTreeSet::new(), &found),
            [
                "s.new() (functions) created in \"shop\"",
                "s.f() (functions) missing in \"shop\"",
                "s.g() (functions) changed in \"shop\"",
            ]
        );
    }

    /// An index that was created again under its name has the same row.
    #[test]
    fn replaced_expression_is_a_change() {
        let shop = DatabaseCensus { expressions: Some("7".into()), ..shop(&[]) };
        assert_eq!(shop.changed_expressions("7"), None);
        assert!(shop.changed_expressions("8").unwrap().ends_with("changed in \"shop\""));
        let of_an_earlier_release = DatabaseCensus { expressions: None, ..shop };
        assert_eq!(of_an_earlier_release.changed_expressions("8"), None);
    }

    #[test]
    fn objects_of_the_server_are_named_without_a_database() {
        let shop = shop(&[]);
        let found = shop.created_or_changed(&BTreeSet::from(["pg_authid"]), &[row("pg_authid", "app", 1)]);
        assert_eq!(shop.texts(&BTreeSet::new(), &found), ["app (roles) created"]);
    }

    #[test]
    fn large_objects_are_data() {
        assert!(is_data("pg_largeobject_metadata") && is_data("rights:pg_largeobject_metadata"));
        assert!(!is_data("pg_proc"));
    }
}
