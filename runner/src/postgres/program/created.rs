//! The object that a statement of a dump creates.

use std::fmt;

use super::reported_error::statement;

/// An object by its kind and name, as messages of the server spell it: `public.v`, without quotes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreatedObject {
    /// Such as `VIEW` or `UNIQUE INDEX`.
    pub kind: String,
    pub name: String,
}

impl CreatedObject {
    /// What the statement was to create that is among the lines of an error.
    #[must_use]
    pub fn in_error(lines: &[&str]) -> Option<Self> {
        Self::of(statement(lines)?)
    }

    /// Of a statement by `pg_dump` with `--quote-all-identifiers`: only the name of what it creates directly follows the kind.
    fn of(statement: &str) -> Option<Self> {
        let rest = statement.strip_prefix("CREATE ")?;
        let (words, name) = rest.split_at(rest.find('"')?);
        let words = words.trim_end();
        let words = words.strip_prefix("OR REPLACE ").unwrap_or(words);
        let is_kind = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase());
        // CREATE TRANSFORM FOR names its type, and CREATE CAST has its types in parentheses.
        if !words.split(' ').all(is_kind) || words.ends_with(" FOR") {
            return None;
        }
        let (mut name, rest) = qualified_name(name);
        // An index is in the schema of its table.
        if let Some(table) = rest.find('"').filter(|_| words.ends_with("INDEX"))
            && let Some((schema, _)) = qualified_name(&rest[table..]).0.split_once('.')
        {
            name = format!("{schema}.{name}");
        }
        Some(Self { kind: words.to_owned(), name })
    }
}

impl fmt::Display for CreatedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.to_lowercase(), self.name)
    }
}

/// The name at the beginning of a text, and the rest: quoted names with periods between them, or a schema and an operator.
fn qualified_name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.strip_prefix('"').map_or_else(|| unquoted_operator(rest), unquoted);
        name.push_str(&part);
        let Some(next) = after.strip_prefix('.') else { return (name, after) };
        name.push('.');
        rest = next;
    }
}

fn unquoted_operator(text: &str) -> (String, &str) {
    let (operator, after) =
        text.split_at(text.find(|c: char| c.is_whitespace() || c == '(').unwrap_or(text.len()));
    (operator.to_owned(), after)
}

/// A name whose opening quote has been read, and what follows it. Two quotes stand for one.
fn unquoted(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut rest = text;
    while let Some((part, after)) = rest.split_once('"') {
        name.push_str(part);
        let Some(next) = after.strip_prefix('"') else { return (name, after) };
        name.push('"');
        rest = next;
    }
    // It was cut off.
    (name + rest, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(r#"CREATE VIEW "public"."v" AS"#, "view public.v")]
    #[case(r#"CREATE OR REPLACE VIEW "public"."v" AS"#, "view public.v")]
    #[case(r#"CREATE FUNCTION "public"."f"("a" integer) RETURNS integer"#, "function public.f")]
    #[case(r#"CREATE OPERATOR "public".< ("#, "operator public.<")]
    #[case(r#"CREATE OPERATOR CLASS "public"."c""#, "operator class public.c")]
    #[case(r#"CREATE UNIQUE INDEX "i" ON ONLY "public"."t" USING "btree" ("a")"#, "unique index public.i")]
    #[case(r#"CREATE TABLE "a.b"."it""s" ("#, r#"table a.b.it"s"#)]
    #[case(r#"CREATE ROLE "tenant";"#, "role tenant")]
    #[case(r#"CREATE SCHEMA "s";"#, "schema s")]
    fn created_object_has_the_kind_and_name_of_the_statement(
        #[case] statement: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(CreatedObject::of(statement).map(|object| object.to_string()).as_deref(), Some(expected));
    }

    #[rstest]
    #[case(r#"CREATE CAST ("public"."t" AS integer) WITH INOUT;"#)]
    #[case(r#"CREATE TRANSFORM FOR "public"."t" LANGUAGE "sql""#)]
    #[case(r#"ALTER TABLE ONLY "public"."t" ADD CONSTRAINT "c" PRIMARY KEY ("a");"#)]
    #[case("CREATE VIEW")]
    #[case("")]
    fn statement_that_creates_nothing_with_a_name_has_no_created_object(#[case] statement: &str) {
        assert_eq!(CreatedObject::of(statement), None);
    }
}
