//! Names that the target version takes for itself: functions that are new in it and hide those of users, and words that
//! it reserves.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings};

/// The functions and words of a server, the same in each of its databases.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerNames {
    /// Its own functions, as `name(types)`.
    functions: BTreeSet<String>,
    keywords: Keywords,
}

/// The keywords of a server, each with its category.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Keywords(BTreeMap<String, Category>);

/// What a keyword may still name without quotes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Category {
    Anything,
    /// Columns and relations.
    NoFunctionOrType,
    /// Functions and types.
    NoColumnOrRelation,
    Nothing,
}

/// Words that must be written in quotes from now on, by what they name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReservedWords {
    pub columns_and_relations: Vec<String>,
    pub functions_and_types: Vec<String>,
}

impl ServerNames {
    pub async fn read(client: &Client) -> Result<Self, ServerError> {
        let sql = "SELECT format('%s(%s)', proname, oidvectortypes(proargtypes)) FROM pg_proc \
                   WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384";
        let functions = strings(client, "functions of the server", sql).await?.into_iter().collect();
        Ok(Self { functions, keywords: Keywords::read(client).await? })
    }

    /// Functions of users in the database of a `newer` server that it hides by one of its own that this server does not
    /// have: a call without a schema finds that one first.
    pub async fn hidden_functions(&self, newer: &Client) -> Result<Vec<String>, ServerError> {
        let sql = "SELECT p.oid::regprocedure::text, format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)) \
                   FROM pg_proc p JOIN pg_proc own ON own.proname = p.proname AND own.proargtypes = p.proargtypes \
                     AND own.pronamespace = 'pg_catalog'::regnamespace AND own.oid < 16384 \
                   WHERE p.oid >= 16384 AND p.pronamespace <> 'pg_catalog'::regnamespace \
                   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
                     AND e.objid = p.oid AND e.deptype = 'e')";
        let failed = ServerError::query("functions with the names of new ones");
        let rows = newer.query_typed(sql, &[]).await.map_err(failed)?;
        let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
        let both: Vec<_> = rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)?;
        let hidden = both.into_iter().filter(|(_, signature)| !self.functions.contains(signature));
        Ok(sorted(hidden.map(|(function, _)| function).collect()))
    }

    /// The words that a `newer` server reserves and this one does not.
    pub async fn reserved_since(&self, newer: &Client) -> Result<ReservedWords, ServerError> {
        Ok(self.keywords.reserved_in(&Keywords::read(newer).await?))
    }
}

impl Keywords {
    async fn read(client: &Client) -> Result<Self, ServerError> {
        let failed = ServerError::query("keywords");
        let sql = "SELECT word, catcode::text FROM pg_get_keywords()";
        let rows = client.query(sql, &[]).await.map_err(failed)?;
        let read = |row: &Row| {
            let category = Category::of(&row.try_get::<_, Lossy>(1)?.0);
            Ok((row.try_get::<_, Lossy>(0)?.0, category))
        };
        Ok(Self(rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)?))
    }

    fn reserved_in(&self, newer: &Self) -> ReservedWords {
        let mut words = ReservedWords::default();
        for (word, now) in &newer.0 {
            let before = self.0.get(word).copied().unwrap_or(Category::Anything);
            if now.forbids_columns() && !before.forbids_columns() {
                words.columns_and_relations.push(word.clone());
            }
            if now.forbids_functions() && !before.forbids_functions() {
                words.functions_and_types.push(word.clone());
            }
        }
        words
    }
}

impl Category {
    /// Of a code of `pg_get_keywords()`.
    fn of(code: &str) -> Self {
        match code {
            "C" => Self::NoFunctionOrType,
            "T" => Self::NoColumnOrRelation,
            "R" => Self::Nothing,
            _ => Self::Anything,
        }
    }

    fn forbids_columns(self) -> bool {
        matches!(self, Self::NoColumnOrRelation | Self::Nothing)
    }

    fn forbids_functions(self) -> bool {
        matches!(self, Self::NoFunctionOrType | Self::Nothing)
    }
}

/// Objects of users in the database that `client` is connected to whose names are among `words`.
pub async fn objects_named(client: &Client, words: &ReservedWords) -> Result<Vec<String>, ServerError> {
    let sql = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relname::text = ANY ($1::text[]) \
               UNION ALL \
               SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) FROM pg_attribute a \
               JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped \
                 AND a.attname::text = ANY ($1::text[]) \
               UNION ALL \
               SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.oid >= 16384 AND p.proname::text = ANY ($2::text[]) \
               UNION ALL \
               SELECT t.oid::regtype::text FROM pg_type t WHERE t.oid >= 16384 AND t.typtype IN ('d', 'e', 'r') \
                 AND t.typname::text = ANY ($2::text[])";
    let failed = ServerError::query("objects with the names of reserved words");
    let rows = client
        .query(sql, &[&words.columns_and_relations, &words.functions_and_types])
        .await
        .map_err(failed)?;
    let read = |row: &Row| Ok(row.try_get::<_, Lossy>(0)?.0);
    Ok(sorted(rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)?))
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(codes: &[(&str, &str)]) -> Keywords {
        Keywords(codes.iter().map(|(word, code)| ((*word).to_owned(), Category::of(code))).collect())
    }

    #[test]
    fn word_is_reserved_only_for_what_it_could_name_before() {
        let before = keywords(&[("json", "U"), ("user", "R"), ("between", "C")]);
        let now =
            keywords(&[("json", "C"), ("user", "R"), ("between", "R"), ("system_user", "R"), ("depth", "U")]);
        let reserved = before.reserved_in(&now);
        assert_eq!(reserved.columns_and_relations, ["between", "system_user"]);
        assert_eq!(reserved.functions_and_types, ["json", "system_user"]);
        assert_eq!(now.reserved_in(&now), ReservedWords::default());
    }

    #[test]
    fn word_for_functions_and_types_is_reserved_for_columns_and_relations() {
        let reserved = keywords(&[]).reserved_in(&keywords(&[("ilike", "T")]));
        assert_eq!(reserved.columns_and_relations, ["ilike"]);
        assert_eq!(reserved.functions_and_types, [""; 0]);
    }
}
