//! What the meaning of every query depends on: the functions, operators, types and casts of `pg_catalog`. Code that has run as
//! superuser may have added some that match a call better than the server's own, or changed these: then what the server answers
//! to other queries means nothing. So this is compared first, by plain columns and operators of exactly their types.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::difference::Difference;
use crate::digest::{Digester, digest};
use crate::postgres::client::copy::{answer, lines, rows};
use crate::postgres::client::error::ServerError;

const WHAT: &str = "the functions and operators of the server";

/// The system's own code.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SystemCode {
    /// For each catalog a digest of what `initdb` has created; none of a server that nothing else is compared with. Its name tells
    /// it from the digests of earlier releases, which were made of other columns.
    #[serde(default, rename = "built_in_rows")]
    built_in: BTreeMap<String, String>,
    /// What was added to `pg_catalog`, by name and definition.
    added: BTreeSet<String>,
}

/// A catalog, by the OID that it has on every server: a table of its name may be another one.
struct Catalog {
    name: &'static str,
    oid: &'static str,
    /// What is read of the rows that `initdb` has created. Functions are read by their OIDs: to write their names, the server would
    /// look up each.
    columns: &'static str,
    /// The column with the OID of what a row is about.
    key: &'static str,
}

const fn catalog(name: &'static str, oid: &'static str, key: &'static str, columns: &'static str) -> Catalog {
    Catalog { name, oid, columns, key }
}

/// Casts come first, which the queries of the others use.
const CATALOGS: [Catalog; 6] = [
    catalog("pg_cast", "2605", "oid", "castsource, casttarget, castfunc, castcontext, castmethod"),
    catalog(
        "pg_aggregate",
        "2600",
        "aggfnoid",
        "aggfnoid::pg_catalog.oid, aggkind, aggtransfn::pg_catalog.oid, aggfinalfn::pg_catalog.oid, agginitval",
    ),
    catalog("pg_class", "1259", "oid", "oid, relname, relnamespace, relkind"),
    catalog(
        "pg_operator",
        "2617",
        "oid",
        "oid, oprname, oprnamespace, oprleft, oprright, oprresult, oprcode::pg_catalog.oid",
    ),
    catalog(
        "pg_proc",
        "1255",
        "oid",
        "oid, proname, pronamespace, proargtypes, prorettype, prolang, prosecdef, proleakproof, proisstrict, provolatile, \
         proconfig, prosrc, probin",
    ),
    catalog(
        "pg_type",
        "1247",
        "oid",
        "oid, typname, typnamespace, typinput::pg_catalog.oid, typoutput::pg_catalog.oid, typreceive::pg_catalog.oid, \
         typsend::pg_catalog.oid, typelem",
    ),
];

/// What users can add, and the query of it.
const ADDED: [(&str, &str); 4] = [
    (
        "function",
        "SELECT c.proname, c.proargtypes, c.prosrc, c.probin FROM pg_catalog.pg_proc c \
         WHERE c.pronamespace OPERATOR(pg_catalog.=) '11'::pg_catalog.oid \
         AND c.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid",
    ),
    (
        "operator",
        "SELECT c.oprname, c.oprleft, c.oprright FROM pg_catalog.pg_operator c \
         WHERE c.oprnamespace OPERATOR(pg_catalog.=) '11'::pg_catalog.oid \
         AND c.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid",
    ),
    (
        "cast",
        "SELECT c.castsource, c.casttarget, c.castcontext FROM pg_catalog.pg_cast c \
         WHERE c.castsource OPERATOR(pg_catalog.<) '10000'::pg_catalog.oid \
         AND c.casttarget OPERATOR(pg_catalog.<) '10000'::pg_catalog.oid \
         AND c.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid",
    ),
    (
        "relation",
        "SELECT c.relname, c.relkind FROM pg_catalog.pg_class c \
         WHERE c.relnamespace OPERATOR(pg_catalog.=) '11'::pg_catalog.oid \
         AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,f,p}'::pg_catalog.\"char\"[]) \
         AND c.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid",
    ),
];

impl SystemCode {
    /// That of the database that `client` is connected to.
    pub async fn read(client: &Client) -> Result<Self, ServerError> {
        let mut built_in = BTreeMap::new();
        for catalog in &CATALOGS {
            let answer = answer(client, WHAT, &catalog.query()).await?;
            built_in.insert(catalog.name.to_owned(), catalog.digest(&answer));
        }
        Ok(Self { built_in, ..Self::read_added(client).await? })
    }

    /// Only what was added to that of the database that `client` is connected to. What `initdb` has created is compared with a new
    /// cluster of the same version, so of the old server it need not be known.
    pub async fn read_added(client: &Client) -> Result<Self, ServerError> {
        let mut code = Self::default();
        for (kind, query) in ADDED {
            let rows = rows(client, WHAT, query).await?;
            code.added.extend(rows.into_iter().map(|columns| added(kind, &columns)));
        }
        Ok(code)
    }

    /// What is not as in the same database before, and as `initdb` of the new version leaves it.
    #[must_use]
    pub fn compare(&self, database: &str, before: &Self, pristine: &Self) -> Vec<Difference> {
        // A preflight of an earlier release has not read it.
        if pristine.built_in.is_empty() {
            return Vec::new();
        }
        let difference = |object: String, before: &str, after: &str| Difference {
            object,
            database: Some(database.to_owned()),
            before: before.to_owned(),
            after: after.to_owned(),
        };
        let is_other = |(name, digest): &(&String, &String)| self.built_in.get(*name) != Some(*digest);
        let changed = pristine.built_in.iter().filter(is_other).map(|(name, _)| {
            difference(format!("built-in rows of {name}"), "as in a new cluster", "changed")
        });
        let added = self.added.difference(&before.added);
        let added = added.map(|object| difference(object.clone(), "does not exist", "exists"));
        changed.chain(added).collect()
    }
}

impl Catalog {
    /// Only OIDs below 12000 are the same in every new cluster.
    fn query(&self) -> String {
        let columns: Vec<_> = self.columns.split(", ").map(|column| format!("c.{column}")).collect();
        format!(
            "SELECT c.tableoid, {} FROM pg_catalog.{} c \
             WHERE c.{}::pg_catalog.oid OPERATOR(pg_catalog.<) '12000'::pg_catalog.oid",
            columns.join(", "),
            self.name,
            self.key
        )
    }

    fn digest(&self, answer: &[u8]) -> String {
        let mut lines: Vec<_> = lines(answer).collect();
        lines.sort_unstable();
        let mut digester = Digester::default();
        for line in lines {
            // The first column is the catalog that the row is in.
            let (table, row) =
                line.split_at(line.iter().position(|byte| *byte == b'\t').unwrap_or(line.len()));
            digester.add(if table == self.oid.as_bytes() { &b"own"[..] } else { &b"another"[..] });
            digester.add(row);
        }
        digester.finish()
    }
}

/// An object that users have added, as text. Of a function's body there is only a digest.
fn added(kind: &str, columns: &[Option<String>]) -> String {
    let mut columns: Vec<_> = columns.iter().map(|column| column.clone().unwrap_or_default()).collect();
    if kind == "function" && columns.len() > 2 {
        let definition = columns.split_off(2).join(" ");
        columns.push(digest(definition.as_bytes()));
    }
    format!("{kind} of pg_catalog: {}", columns.join(", "))
}

#[cfg(test)]
mod tests;
