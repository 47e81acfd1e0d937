//! Names that the target no longer has: functions, settings, system catalogs and views with their columns. Each server is asked
//! for its own; what is lost is searched in the bodies of functions, which no restore checks.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row};

use super::replacements::replacement;
use super::words::Words;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings, strings_with};

/// The names that a server has for itself, the same in each of its databases.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SystemNames {
    functions: BTreeSet<String>,
    settings: BTreeSet<String>,
    /// The columns of each system catalog and view.
    columns: BTreeMap<String, BTreeSet<String>>,
}

impl SystemNames {
    pub async fn read(client: &Client) -> Result<Self, ServerError> {
        let functions = "SELECT DISTINCT proname::text FROM pg_proc \
                         WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384";
        // Those with a dot are of libraries, which need not be loaded on both servers.
        let settings = "SELECT name FROM pg_settings WHERE strpos(name, '.') = 0";
        Ok(Self {
            functions: strings(client, "names of functions", functions).await?.into_iter().collect(),
            settings: strings(client, "names of settings", settings).await?.into_iter().collect(),
            columns: columns(client).await?,
        })
    }

    /// What a `newer` server no longer has; `client` is connected to it.
    pub async fn lost(&self, newer: &Self, client: &Client) -> Result<LostNames, ServerError> {
        let mut lost = self.lost_in(newer);
        // It may know some that it does not list.
        let unknown = "SELECT name FROM unnest($1::text[]) AS name WHERE current_setting(name, true) IS NULL";
        let settings: Vec<_> = std::mem::take(&mut lost.settings).into_iter().collect();
        lost.settings =
            strings_with(client, "removed settings", unknown, &[&settings]).await?.into_iter().collect();
        Ok(lost)
    }

    fn lost_in(&self, newer: &Self) -> LostNames {
        let difference = |before: &BTreeSet<String>, after: &BTreeSet<String>| -> BTreeSet<String> {
            before.difference(after).cloned().collect()
        };
        let mut lost = LostNames {
            functions: difference(&self.functions, &newer.functions),
            settings: difference(&self.settings, &newer.settings),
            ..LostNames::default()
        };
        for (relation, before) in &self.columns {
            match newer.columns.get(relation) {
                None => {
                    lost.relations.insert(relation.clone());
                }
                Some(after) => {
                    for column in before.difference(after) {
                        lost.columns.entry(column.clone()).or_default().insert(relation.clone());
                    }
                }
            }
        }
        lost
    }
}

async fn columns(client: &Client) -> Result<BTreeMap<String, BTreeSet<String>>, ServerError> {
    let failed = ServerError::query("columns of system catalogs");
    let sql = "SELECT c.relname::text, a.attname::text FROM pg_class c \
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
               WHERE c.oid < 16384 AND c.relkind IN ('r', 'v') \
               AND c.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    let mut columns = BTreeMap::<_, BTreeSet<_>>::new();
    for row in &rows {
        let (relation, column) = read(row).map_err(failed)?;
        columns.entry(relation).or_default().insert(column);
    }
    Ok(columns)
}

/// Names that one server has and another one lacks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LostNames {
    functions: BTreeSet<String>,
    settings: BTreeSet<String>,
    relations: BTreeSet<String>,
    /// Columns, each with the relations that have lost it.
    columns: BTreeMap<String, BTreeSet<String>>,
}

impl LostNames {
    /// A regular expression that matches a body with any of them; none if nothing is lost.
    fn pattern(&self) -> Option<String> {
        let names =
            self.functions.iter().chain(&self.settings).chain(&self.relations).chain(self.columns.keys());
        let plain: Vec<_> = names
            .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
            .cloned()
            .collect();
        (!plain.is_empty()).then(|| format!("\\m({})\\M", plain.join("|")))
    }

    /// Those that a body names, each with what is to be used instead. `own` are functions of users with such a name.
    fn named_in(&self, body: &str, own: &BTreeSet<String>) -> Vec<String> {
        let words = Words::of(body);
        let functions = self.functions.iter().filter(|name| words.calls(name) && !own.contains(*name));
        let settings = self.settings.iter().filter(|name| words.sets_or_shows(name));
        let relations = self.relations.iter().filter(|name| words.contains(name));
        let named = functions.chain(settings).chain(relations).map(|name| shown(name, name));
        let columns = self.columns.iter().filter(|(column, _)| words.contains(column));
        let columns = columns.filter_map(|(column, relations)| {
            // Its name alone may be that of anything.
            let relation = relations.iter().find(|relation| words.contains(relation))?;
            Some(shown(column, &format!("{column} of {relation}")))
        });
        named.chain(columns).collect()
    }
}

fn shown(name: &str, described: &str) -> String {
    format!("{described}: {}", replacement(name).unwrap_or("removed"))
}

/// Functions of users in the database that `client` is connected to whose bodies use what is lost, each with those names.
pub async fn functions_naming(
    client: &Client,
    lost: &LostNames,
) -> Result<Vec<(String, Vec<String>)>, ServerError> {
    let Some(pattern) = lost.pattern() else { return Ok(Vec::new()) };
    let failed = ServerError::query("bodies of functions with removed names");
    let sql = "SELECT p.oid::regprocedure::text, p.prosrc FROM pg_proc p \
               JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal') \
               WHERE p.oid >= 16384 AND p.prosrc ~* $1 \
               AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
                 AND e.objid = p.oid AND e.deptype = 'e') ORDER BY 1";
    let rows = client.query(sql, &[&pattern]).await.map_err(failed)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let of_users =
        "SELECT DISTINCT proname::text FROM pg_proc WHERE oid >= 16384 AND proname::text = ANY ($1::text[])";
    let functions: Vec<_> = lost.functions.iter().cloned().collect();
    let own = strings_with(client, "functions with removed names", of_users, &[&functions]).await?;
    let own: BTreeSet<_> = own.into_iter().collect();
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    let bodies: Vec<_> = rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)?;
    let named = bodies.into_iter().map(|(function, body)| (function, lost.named_in(&body, &own)));
    Ok(named.filter(|(_, names)| !names.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn names(functions: &[&str], settings: &[&str], columns: &[(&str, &[&str])]) -> SystemNames {
        let columns =
            columns.iter().map(|(relation, columns)| ((*relation).to_owned(), set(columns))).collect();
        SystemNames { functions: set(functions), settings: set(settings), columns }
    }

    fn lost() -> LostNames {
        let before = names(
            &["now", "pg_start_backup"],
            &["work_mem", "lc_collate"],
            &[
                ("pg_stat_bgwriter", &["buffers_backend", "buffers_alloc"][..]),
                ("pg_pltemplate", &["tmplname"][..]),
            ],
        );
        let after = names(
            &["now", "pg_backup_start"],
            &["work_mem"],
            &[("pg_stat_bgwriter", &["buffers_alloc"][..]), ("pg_stat_io", &["reads"][..])],
        );
        before.lost_in(&after)
    }

    fn named(body: &str) -> String {
        lost().named_in(body, &BTreeSet::new()).join(", ")
    }

    #[test]
    fn lost_names_are_those_that_only_the_older_server_has() {
        let lost = lost();
        assert_eq!(lost.functions, set(&["pg_start_backup"]));
        assert_eq!(lost.settings, set(&["lc_collate"]));
        assert_eq!(lost.relations, set(&["pg_pltemplate"]));
        assert_eq!(lost.columns, [("buffers_backend".to_owned(), set(&["pg_stat_bgwriter"]))].into());
        assert_eq!(
            lost.pattern().unwrap(),
            "\\m(pg_start_backup|lc_collate|pg_pltemplate|buffers_backend)\\M"
        );
    }

    #[test]
    fn nothing_is_searched_if_nothing_is_lost() {
        let same = names(&["now"], &["work_mem"], &[("pg_class", &["relname"][..])]);
        assert_eq!(same.lost_in(&same).pattern(), None);
    }

    #[rstest::rstest]
    #[case::call("PERFORM pg_start_backup('b')", "pg_start_backup: pg_backup_start")]
    #[case::call_in_a_statement("EXECUTE 'SELECT pg_start_backup(1)'", "pg_start_backup: pg_backup_start")]
    #[case::only_a_word("label := 'pg_start_backup'", "")]
    #[case::setting("SELECT current_setting('lc_collate')", "lc_collate: datcollate of pg_database")]
    #[case::shown("SHOW lc_collate", "lc_collate: datcollate of pg_database")]
    #[case::alias("SELECT datcollate AS lc_collate FROM pg_database", "")]
    #[case::column(
        "SELECT b.buffers_backend FROM pg_catalog.pg_stat_bgwriter b",
        "buffers_backend of pg_stat_bgwriter: pg_stat_io"
    )]
    #[case::column_of_another_relation("SELECT buffers_backend FROM mine", "")]
    #[case::relation("SELECT count(*) FROM pg_pltemplate", "pg_pltemplate: removed")]
    #[case::comment("-- pg_start_backup()", "")]
    fn removed_name_is_found_where_it_is_used(#[case] body: &str, #[case] expected: &str) {
        assert_eq!(named(body), expected);
    }

    #[test]
    fn function_of_a_user_with_a_removed_name_stays() {
        let own = set(&["pg_start_backup"]);
        assert_eq!(lost().named_in("SELECT pg_start_backup(1)", &own), [""; 0]);
    }
}
