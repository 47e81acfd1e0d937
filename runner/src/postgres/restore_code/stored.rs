//! Reads from the serving database what a restore of it would evaluate: before anything is restored, so that nothing runs, and
//! whatever the rehearsal can notice.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row};

use super::calls::Oid;
use super::executed::UntrustedCall;
use super::node_tree::Value;
use super::untrusted::{Attached, Body, OperatorClass, RestoreUse, UntrustedCode};
use crate::digest::Digester;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings};

const WHAT: &str = "the code that a restore would evaluate";
/// A restore reads the values in statistics as their types do, with the system's search path: it ends with an error if the check of a
/// domain calls a function that then misses a name, or raises one itself, or if the values of a type depend on rows of a table
/// (<https://github.com/df7cb/postgresql-unit/issues/44>). Functions in C find their names in another way.
const UNREADABLE: &str = "SELECT pg_describe_object('pg_constraint'::regclass, c.oid, 0) FROM pg_constraint c WHERE c.contypid <> 0 \
       AND EXISTS (SELECT FROM pg_depend d \
         LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid \
         JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode::oid END \
         JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal') \
         WHERE d.classid = 'pg_constraint'::regclass AND d.objid = c.oid AND p.oid >= 16384) \
     UNION ALL SELECT format('type %s', t.oid::regtype) FROM pg_type t \
       JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e' \
       JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'unit' WHERE t.typname = 'unit' \
       AND EXISTS (SELECT FROM pg_attribute a WHERE a.atttypid = t.oid AND a.attnum > 0 AND NOT a.attisdropped) ORDER BY 1";
/// How many objects are named with a function.
const MAX_OBJECTS: usize = 5;

/// What a restore of a database would evaluate, as far as its definitions say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StoredCode {
    /// The functions that would run with the superuser's rights.
    pub calls: Vec<UntrustedCall>,
    /// Domains whose checks call such functions. They run whenever a value of the domain is read.
    pub domain_checks: Vec<String>,
    /// What may make a restore of the planner's statistics fail, which are values of columns.
    pub unreadable: Vec<String>,
    /// A digest of all that was looked at. It differs if an expression was replaced.
    pub digest: String,
}

/// A function, as it is named.
struct Named {
    name: String,
    owner: String,
}

/// An expression of an object.
struct Expression {
    object: String,
    restore_use: RestoreUse,
    text: String,
    is_of_domain: bool,
}

/// Reads it from the database that `client` is connected to, on a server of `major`.
pub async fn stored_code(client: &Client, major: u32, database: &str) -> Result<StoredCode, ServerError> {
    let mut reader = Reader { client, major, named: BTreeMap::new(), digest: Digester::default() };
    let functions = reader.functions().await?;
    let unreadable = strings(client, WHAT, UNREADABLE).await?;
    let unreadable = unreadable.into_iter().map(|object| format!("{object} in \"{database}\"")).collect();
    if functions.is_empty() {
        // Most databases.
        return Ok(StoredCode { unreadable, digest: reader.digest.finish(), ..StoredCode::default() });
    }
    let oids: Vec<_> = functions.keys().copied().collect();
    let operators = reader.operators(&oids).await?;
    let classes = reader.classes(&oids).await?;
    let mut code = UntrustedCode { functions, operators, classes, mutable: BTreeSet::new() };
    let mut objects = Objects::default();
    reader.callers(&code, &mut objects).await?;
    let expressions = reader.expressions(&code).await?;
    if !expressions.is_empty() {
        code.mutable = reader.mutable().await?;
    }
    let mut domain_checks = Vec::new();
    for Expression { object, restore_use, text, is_of_domain } in expressions {
        match Value::parse(&text) {
            Ok(expression) => objects.add(&object, code.evaluated(&expression, restore_use)),
            // It may be nested too deep. What it calls is not known.
            Err(error) => {
                tracing::warn!("the expression of {object} in \"{database}\" cannot be examined: {error}");
                objects.unreadable.push(object.clone());
            }
        }
        if is_of_domain {
            domain_checks.push(format!("{object} in \"{database}\""));
        }
    }
    if !domain_checks.is_empty() {
        reader.add_all_expressions().await?;
    }
    let calls = objects.calls(database, &reader.named);
    Ok(StoredCode { calls, domain_checks, unreadable, digest: reader.digest.finish() })
}

/// The objects that evaluate each function.
#[derive(Default)]
struct Objects {
    by_function: BTreeMap<Oid, Vec<String>>,
    /// Those with an expression that cannot be examined.
    unreadable: Vec<String>,
}

impl Objects {
    fn add(&mut self, object: &str, functions: impl IntoIterator<Item = Oid>) {
        for function in functions {
            let objects = self.by_function.entry(function).or_default();
            if objects.len() < MAX_OBJECTS && !objects.iter().any(|known| known == object) {
                objects.push(object.to_owned());
            }
        }
    }

    fn calls(self, database: &str, named: &BTreeMap<Oid, Named>) -> Vec<UntrustedCall> {
        let call = |(function, objects): (Oid, Vec<String>)| {
            let named = named.get(&function)?;
            Some(UntrustedCall {
                database: database.to_owned(),
                function: named.name.clone(),
                owner: Some(named.owner.clone()),
                objects,
            })
        };
        let mut calls: Vec<_> = self.by_function.into_iter().filter_map(call).collect();
        calls.extend(self.unreadable.into_iter().map(|object| UntrustedCall {
            database: database.to_owned(),
            function: "an expression that cannot be examined".to_owned(),
            owner: None,
            objects: vec![object],
        }));
        calls
    }
}

struct Reader<'a> {
    client: &'a Client,
    major: u32,
    named: BTreeMap<Oid, Named>,
    digest: Digester,
}

impl Reader<'_> {
    async fn functions(&mut self) -> Result<BTreeMap<Oid, Attached>, ServerError> {
        let sql = include_str!("../sql/untrusted_functions.sql").replace("{body}", self.parsed_body());
        let rows = self.client.query_typed(&sql, &[]).await.map_err(failed)?;
        let mut functions = BTreeMap::new();
        for row in &rows {
            let function: Oid = row.try_get(0).map_err(failed)?;
            let named = Named { name: text(row, 1)?, owner: text(row, 2)? };
            let [defaults, parsed, source] = [3, 4, 5].map(|column| optional_text(row, column));
            let (defaults, parsed, source) = (defaults?, parsed?, source?);
            for part in [&defaults, &parsed].into_iter().flatten() {
                self.digest.add(named.name.as_bytes());
                self.digest.add(part.as_bytes());
            }
            // What cannot be examined is as good as a text that may call anything.
            let unreadable = || Some(Body::Text("OPERATOR ANY".to_owned()));
            let body = match parsed {
                Some(parsed) => {
                    Value::parse(&parsed).map_or_else(|_| unreadable(), |it| Some(Body::Parsed(it)))
                }
                None => source.map(Body::Text),
            };
            let attached = match defaults.map(|defaults| Value::parse(&defaults)).transpose() {
                Ok(defaults) => Attached { defaults, body },
                Err(_) => Attached { defaults: None, body: unreadable() },
            };
            self.named.insert(function, named);
            functions.insert(function, attached);
        }
        Ok(functions)
    }

    async fn operators(&self, functions: &[Oid]) -> Result<BTreeMap<Oid, Oid>, ServerError> {
        let sql = include_str!("../sql/untrusted_operators.sql");
        let rows = self.client.query(sql, &[&functions]).await.map_err(failed)?;
        let read = |row: &Row| Ok((row.try_get::<_, Oid>(0)?, row.try_get::<_, Oid>(1)?));
        rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
    }

    async fn classes(&self, functions: &[Oid]) -> Result<Vec<OperatorClass>, ServerError> {
        let sql = include_str!("../sql/untrusted_operator_classes.sql");
        let rows = self.client.query(sql, &[&functions]).await.map_err(failed)?;
        let read = |row: &Row| {
            let (oid, family, of_type) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            Ok(OperatorClass { oid, family, of_type, functions: row.try_get(3)? })
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
    }

    /// What calls functions without an expression.
    async fn callers(&self, code: &UntrustedCode, objects: &mut Objects) -> Result<(), ServerError> {
        let subscript = if self.major >= 14 { ", (t.typsubscript)" } else { "" };
        let sql = include_str!("../sql/untrusted_callers.sql").replace("{subscript}", subscript);
        let functions: Vec<_> = code.functions.keys().copied().collect();
        let classes: Vec<_> = code.classes.iter().map(|class| class.oid).collect();
        let rows = self.client.query(&sql, &[&functions, &classes]).await.map_err(failed)?;
        for row in &rows {
            let (kind, object) = (text(row, 0)?, text(row, 2)?);
            let oid: Oid = row.try_get(1).map_err(failed)?;
            match kind.as_str() {
                "class" => objects.add(&object, code.functions_of_class(oid).iter().copied()),
                _ => objects.add(&object, [oid]),
            }
        }
        Ok(())
    }

    async fn expressions(&mut self, code: &UntrustedCode) -> Result<Vec<Expression>, ServerError> {
        let functions: Vec<_> = code.functions.keys().copied().collect();
        let operators: Vec<_> = code.operators.keys().copied().collect();
        // What compares by an operator class does not always depend on it.
        let all = !code.classes.is_empty();
        let sql = expressions_query(self.major);
        let rows = self.client.query(&sql, &[&functions, &operators, &all]).await.map_err(failed)?;
        let mut expressions = Vec::new();
        for row in &rows {
            let restore_use = match text(row, 1)?.as_str() {
                "store" => RestoreUse::Store,
                "apply" => RestoreUse::Apply,
                _ => RestoreUse::Simplify,
            };
            let (object, expression) = (text(row, 0)?, text(row, 2)?);
            self.digest.add(object.as_bytes());
            self.digest.add(expression.as_bytes());
            let is_of_domain = row.try_get(3).map_err(failed)?;
            expressions.push(Expression { object, restore_use, text: expression, is_of_domain });
        }
        Ok(expressions)
    }

    /// Adds everything to the digest that has constants, which may be of a domain.
    async fn add_all_expressions(&mut self) -> Result<(), ServerError> {
        if self.major < 13 {
            return Ok(());
        }
        let sql = include_str!("../sql/expressions_digest.sql").replace("{body}", self.parsed_body());
        let row = self.client.query_one(&sql, &[]).await.map_err(failed)?;
        self.digest.add(text(&row, 0)?.as_bytes());
        Ok(())
    }

    /// The column with the parsed body of a function, as SQL.
    fn parsed_body(&self) -> &'static str {
        if self.major >= 14 { "p.prosqlbody::text" } else { "NULL::text" }
    }

    async fn mutable(&self) -> Result<BTreeSet<Oid>, ServerError> {
        let sql = "SELECT oid FROM pg_proc WHERE provolatile <> 'i'";
        let rows = self.client.query_typed(sql, &[]).await.map_err(failed)?;
        rows.iter().map(|row| row.try_get::<_, Oid>(0)).collect::<Result<_, _>>().map_err(failed)
    }
}

fn expressions_query(major: u32) -> String {
    let generated = if major >= 12 { "a.attgenerated <> ''" } else { "false" };
    let statistics = if major >= 14 {
        " UNION ALL SELECT 'pg_statistic_ext'::regclass, x.oid, 'pg_statistic_ext'::regclass, x.oid, 'statistics', \
         x.stxexprs::text FROM pg_statistic_ext x"
    } else {
        ""
    };
    let sql = include_str!("../sql/evaluated_expressions.sql");
    sql.replace("{generated}", generated).replace("{statistics}", statistics)
}

fn failed(source: tokio_postgres::Error) -> ServerError {
    ServerError::query(WHAT)(source)
}

fn text(row: &Row, column: usize) -> Result<String, ServerError> {
    // What was dropped at this moment has no name.
    Ok(optional_text(row, column)?.unwrap_or_default())
}

fn optional_text(row: &Row, column: usize) -> Result<Option<String>, ServerError> {
    Ok(row.try_get::<_, Option<Lossy>>(column).map_err(failed)?.map(|Lossy(text)| text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_the_version_has_them() {
        let without = expressions_query(11);
        assert!(!without.contains("stxexprs") && !without.contains("attgenerated"), "{without}");
        let with = expressions_query(14);
        assert!(with.contains("stxexprs") && with.contains("a.attgenerated <> ''"), "{with}");
        assert!(!with.contains('{'), "{with}");
    }

    /// Those in C, as of citext, are in checks of many domains, and are safe.
    #[test]
    fn only_functions_with_a_body_may_fail_in_a_restore_of_statistics() {
        assert!(UNREADABLE.contains("l.lanname NOT IN ('c', 'internal')") && UNREADABLE.is_ascii());
    }

    #[test]
    fn function_is_named_with_the_first_objects_that_evaluate_it() {
        let named = Named { name: "s.key(integer)".into(), owner: "tenant".into() };
        let named = BTreeMap::from([(20_001, named)]);
        let mut objects = Objects::default();
        for number in 0..MAX_OBJECTS + 2 {
            objects.add(&format!("index s.i{number}"), [20_001]);
            objects.add(&format!("index s.i{number}"), [20_001]);
        }
        objects.unreadable.push("constraint c on table s.t".into());
        let calls = objects.calls("shop", &named);
        assert_eq!(calls[0].objects.len(), MAX_OBJECTS);
        let text = calls[0].to_string();
        assert!(text.starts_with("s.key(integer) of \"tenant\" in \"shop\" (used by index s.i0, "), "{text}");
        let text = calls[1].to_string();
        assert!(text.ends_with("in \"shop\" (used by constraint c on table s.t)"), "{text}");
    }
}
