//! Names that the target version takes for itself: functions, operators, relations and types that are new in it and hide those
//! of users, and words that it reserves.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings};

/// The functions and words of a server, the same in each of its databases.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerNames {
    /// Its own functions, as `name(types)`, and as `name/number` of arguments.
    functions: BTreeSet<String>,
    /// Its own operators, relations and types, each with its kind.
    objects: BTreeSet<String>,
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

const FUNCTIONS: &str = "SELECT DISTINCT unnest(ARRAY[format('%s(%s)', proname, oidvectortypes(proargtypes)), \
       format('%s/%s', proname, pronargs)]) FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384";

/// The second column is what the server must not have had before: its function with the same arguments, or the name with their
/// number if they are only of the same categories.
const HIDDEN_FUNCTIONS: &str = "SELECT p.oid::regprocedure::text, CASE WHEN own.proargtypes = p.proargtypes \
         THEN format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)) ELSE format('%s/%s', p.proname, p.pronargs) END \
       FROM pg_proc p JOIN pg_proc own ON own.proname = p.proname AND own.pronargs = p.pronargs \
         AND own.pronamespace = 'pg_catalog'::regnamespace AND own.oid < 16384 \
       WHERE p.oid >= 16384 AND p.pronamespace <> 'pg_catalog'::regnamespace \
       AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
         AND e.objid = p.oid AND e.deptype = 'e') \
       AND NOT EXISTS (SELECT FROM unnest(p.proargtypes::oid[], own.proargtypes::oid[]) AS a (mine, theirs) \
         JOIN (SELECT oid, CASE WHEN typname LIKE 'any%array' THEN 'A' WHEN typtype = 'p' THEN '*' ELSE typcategory::text END \
           AS category FROM pg_type) AS m ON m.oid = a.mine \
         JOIN (SELECT oid, CASE WHEN typname LIKE 'any%array' THEN 'A' WHEN typtype = 'p' THEN '*' ELSE typcategory::text END \
           AS category FROM pg_type) AS t ON t.oid = a.theirs \
         WHERE a.mine <> a.theirs AND m.category <> t.category AND m.category <> '*' AND t.category <> '*')";

const OBJECTS: &str = "SELECT format('operator %s(%s,%s)', oprname, oprleft::regtype, oprright::regtype) FROM pg_operator \
         WHERE oprnamespace = 'pg_catalog'::regnamespace AND oid < 16384 \
       UNION ALL SELECT 'relation ' || relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND oid < 16384 \
       UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND oid < 16384";

/// The second column is in the form of `OBJECTS`.
const HIDDEN_OBJECTS: &str = "SELECT 'operator ' || o.oid::regoperator, \
         format('operator %s(%s,%s)', o.oprname, o.oprleft::regtype, o.oprright::regtype) FROM pg_operator o \
       JOIN pg_operator own ON own.oprname = o.oprname AND own.oprleft = o.oprleft AND own.oprright = o.oprright \
         AND own.oprnamespace = 'pg_catalog'::regnamespace AND own.oid < 16384 \
       WHERE o.oid >= 16384 AND o.oprnamespace <> 'pg_catalog'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend e \
         WHERE e.classid = 'pg_operator'::regclass AND e.objid = o.oid AND e.deptype = 'e') \
       UNION ALL SELECT format('%I.%I', n.nspname, c.relname), 'relation ' || c.relname FROM pg_class c \
       JOIN pg_namespace n ON n.oid = c.relnamespace \
       JOIN pg_class own ON own.relname = c.relname AND own.relnamespace = 'pg_catalog'::regnamespace AND own.oid < 16384 \
       WHERE c.oid >= 16384 AND n.nspname <> 'pg_catalog' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
         AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e') \
       UNION ALL SELECT format('type %I.%I', n.nspname, t.typname), 'type ' || t.typname FROM pg_type t \
       JOIN pg_namespace n ON n.oid = t.typnamespace \
       JOIN pg_type own ON own.typname = t.typname AND own.typnamespace = 'pg_catalog'::regnamespace AND own.oid < 16384 \
       WHERE t.oid >= 16384 AND n.nspname <> 'pg_catalog' AND t.typtype IN ('b', 'd', 'e', 'r', 'm') AND t.typcategory <> 'A' \
         AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')";

impl ServerNames {
    pub async fn read(client: &Client) -> Result<Self, ServerError> {
        Ok(Self {
            functions: strings(client, "functions of the server", FUNCTIONS).await?.into_iter().collect(),
            objects: strings(client, "names of the server", OBJECTS).await?.into_iter().collect(),
            keywords: Keywords::read(client).await?,
        })
    }

    /// Functions of users in the database of a `newer` server that it hides by one of its own that this server does not
    /// have: a call without a schema finds that one first, or prefers it. Of functions with other arguments only those count
    /// whose name is new with that number: the others had a variant of the server next to them before.
    pub async fn hidden_functions(&self, newer: &Client) -> Result<Vec<String>, ServerError> {
        let rows = pairs(newer, "functions with the names of new ones", HIDDEN_FUNCTIONS).await?;
        Ok(sorted(
            rows.into_iter()
                .filter(|(_, of_server)| !self.has_function(of_server))
                .map(|(it, _)| it)
                .collect(),
        ))
    }

    /// Whether it has a function as `HIDDEN_FUNCTIONS` gives it: with the same arguments, or any with that number of them.
    fn has_function(&self, function: &str) -> bool {
        self.functions.contains(function)
    }

    /// Operators, relations and types of users in the database of a `newer` server with the name of one of its own that this
    /// server does not have: without a schema a statement finds that one first.
    pub async fn hidden_objects(&self, newer: &Client) -> Result<Vec<String>, ServerError> {
        let rows = pairs(newer, "objects with the names of new ones", HIDDEN_OBJECTS).await?;
        Ok(sorted(
            rows.into_iter().filter(|(_, name)| !self.objects.contains(name)).map(|(it, _)| it).collect(),
        ))
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

/// The two columns of a query.
async fn pairs(client: &Client, what: &'static str, sql: &str) -> Result<Vec<(String, String)>, ServerError> {
    let failed = ServerError::query(what);
    let rows = client.query_typed(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_of_the_server_is_new_by_its_arguments_or_by_their_number() {
        let functions = ["array_append(anyarray, anyelement)", "array_append/2", "random()", "random/0"];
        let before =
            ServerNames { functions: functions.map(ToOwned::to_owned).into(), ..ServerNames::default() };
        // 14 has other types: a variant of a user's function was next to it before.
        assert!(before.has_function("array_append/2") && !before.has_function("random/2"));
        assert!(!before.has_function("random(integer, integer)"));
    }

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
