//! Reads the facts from a server.

use tokio_postgres::Client;

use super::{Fact, Facts, Privilege};
use crate::digest::Digester;
use crate::postgres::client::copy::{Columns, rows};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::quote::identifier;

const WHAT: &str = "the rights on users' objects";

/// Facts of one kind.
struct Kind {
    name: &'static str,
    effect: Effect,
    form: Form,
    /// Its names are of `pg_catalog`, whatever the session's search path, and the arguments of exactly the type of their operator.
    /// OIDs of relations, types and roles are the same after an upgrade.
    sql: &'static str,
}

#[derive(Clone, Copy)]
enum Effect {
    Gives,
    Takes,
}

/// What the columns of a kind are, apart from schema and name.
#[derive(Clone, Copy)]
enum Form {
    Plain,
    /// The last ones are the grantee, the privilege, and whether it can be granted on.
    Grant,
    /// The third one has the types of arguments; from the seventh on there are settings and the body.
    Function,
    /// The third one has the types of arguments, the last ones are those of a grant.
    FunctionGrant,
    /// The fifth one has the roles.
    Policy,
}

const fn kind(name: &'static str, effect: Effect, form: Form, sql: &'static str) -> Kind {
    Kind { name, effect, form, sql }
}

use Effect::{Gives, Takes};
use Form::{Function, FunctionGrant, Grant, Plain, Policy};

const KINDS: &[Kind] = &[
    kind("relation with owner", Gives, Plain, include_str!("../../sql/facts_relations.sql")),
    kind("row security with force", Takes, Plain, include_str!("../../sql/facts_row_security.sql")),
    kind("grant on relation", Gives, Grant, include_str!("../../sql/facts_relation_grants.sql")),
    kind("grant on column", Gives, Grant, include_str!("../../sql/facts_column_grants.sql")),
    kind("function", Gives, Function, include_str!("../../sql/facts_functions.sql")),
    kind("grant on function", Gives, FunctionGrant, include_str!("../../sql/facts_function_grants.sql")),
    kind("type with owner", Gives, Plain, include_str!("../../sql/facts_types.sql")),
    kind("policy", Gives, Policy, include_str!("../../sql/facts_permissive_policies.sql")),
    kind("restrictive policy", Takes, Policy, include_str!("../../sql/facts_restrictive_policies.sql")),
    kind("trigger with function", Gives, Plain, include_str!("../../sql/facts_triggers.sql")),
    kind("rule", Gives, Plain, include_str!("../../sql/facts_rules.sql")),
];

/// A restore creates the triggers that partitions inherit again, and they were internal before 15.
const OWN_TRIGGERS: &str = "t.tgparentid OPERATOR(pg_catalog.=) '0'::pg_catalog.oid";
/// Up to here the columns of a function are shown.
const FUNCTION_COLUMNS: usize = 6;
/// Digits of a digest that are shown.
const DIGITS: usize = 24;

impl Facts {
    /// Those of the database that `client` is connected to, on a server of `major`.
    pub async fn read(client: &Client, major: u32) -> Result<Self, ServerError> {
        let own = if major >= 13 { OWN_TRIGGERS } else { "true" };
        let mut facts = Self::default();
        for kind in KINDS {
            for columns in rows(client, WHAT, &kind.sql.replace("{own}", own)).await? {
                facts.add(kind, columns);
            }
        }
        Ok(facts)
    }

    fn add(&mut self, kind: &Kind, mut columns: Columns) {
        let mut privilege = None;
        match kind.form {
            Form::Plain => {}
            Form::Grant => privilege = take_privilege(&mut columns),
            Form::FunctionGrant => {
                without_unstable_types(&mut columns);
                privilege = take_privilege(&mut columns);
            }
            Form::Function => {
                without_unstable_types(&mut columns);
                shorten_definition(&mut columns);
            }
            Form::Policy => sort_roles(&mut columns),
        }
        let mut texts: Vec<_> = columns.iter().map(|column| shown(column.as_deref())).collect();
        if privilege.is_some() && columns.last().is_some_and(Option::is_none) {
            // No role is called so without quotes.
            texts.pop();
            texts.push("PUBLIC".to_owned());
        }
        let text = format!("{}: {}", kind.name, texts.join(", "));
        match kind.effect {
            Effect::Gives => self.gives.push(Fact { text, privilege }),
            Effect::Takes => {
                self.takes.insert(text);
            }
        }
    }
}

/// A column as it is shown, with quotes if it could be mistaken for several.
fn shown(column: Option<&str>) -> String {
    let is_plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    match column {
        None => "-".to_owned(),
        Some(text) if is_plain(text) => text.to_owned(),
        Some(text) => identifier(text),
    }
}

/// Takes the privilege from the end of the columns, and leaves the grantee.
fn take_privilege(columns: &mut Columns) -> Option<Privilege> {
    let is_grantable = columns.pop()?.as_deref() == Some("t");
    Some(Privilege { name: columns.pop()??, is_grantable })
}

/// Types that `initdb` itself creates, as in `information_schema`, have other OIDs in each version.
fn without_unstable_types(columns: &mut Columns) {
    if let Some(Some(types)) = columns.get_mut(2) {
        let is_unstable = |oid: &str| oid.parse::<u32>().is_ok_and(|oid| (10_000..16_384).contains(&oid));
        let stable: Vec<_> =
            types.split(' ').map(|oid| if is_unstable(oid) { "system" } else { oid }).collect();
        *types = stable.join(" ");
    }
}

/// Of settings and body there is only a digest. `pg_dump` quotes lists of settings in its own way.
fn shorten_definition(columns: &mut Columns) {
    let mut digester = Digester::default();
    for column in columns.drain(FUNCTION_COLUMNS.min(columns.len())..) {
        digester.add(column.unwrap_or_default().replace(['"', '\'', ' '], "").as_bytes());
    }
    let mut digest = digester.finish();
    digest.truncate(DIGITS);
    columns.push(Some(digest));
}

/// A policy is for a set of roles.
fn sort_roles(columns: &mut Columns) {
    if let Some(Some(roles)) = columns.get_mut(4) {
        let mut oids: Vec<_> = roles.trim_matches(['{', '}']).split(',').collect();
        oids.sort_unstable();
        *roles = oids.join(" ");
    }
}

#[cfg(test)]
mod tests;
