//! Modules of Python and Perl that functions import. They are files of the image, which the server looks for only in a call.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings, strings_with};

/// A language whose functions can import what they like.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Language {
    Python,
    Perl,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::Python, Self::Perl];

    /// The name of the language, and of its extension.
    fn name(self) -> &'static str {
        match self {
            Self::Python => "plpython3u",
            Self::Perl => "plperlu",
        }
    }

    /// A regular expression for a statement that imports.
    fn statement(self) -> &'static str {
        match self {
            Self::Python => "^[ \\t]*((import|from)[ \\t]+[^#;\\n]+)",
            Self::Perl => "^[ \\t]*((use|require)[ \\t]+[A-Z][A-Za-z0-9_:]*)",
        }
    }

    /// The modules that such a statement names, without those inside of packages.
    fn modules(self, statement: &str) -> Vec<String> {
        let Some((keyword, rest)) = statement.split_once(char::is_whitespace) else { return Vec::new() };
        let first = |text: &str, is_part: fn(char) -> bool| {
            let text = text.trim_start();
            text[..text.find(|c: char| !is_part(c)).unwrap_or(text.len())].to_owned()
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named: Vec<_> = match (self, keyword) {
            (Self::Python, "import") => rest.split(',').map(|part| first(part, is_word)).collect(),
            (Self::Python, _) => vec![first(rest, is_word)],
            (Self::Perl, _) => vec![first(rest, |c: char| c.is_ascii_alphanumeric() || "_:".contains(c))],
        };
        // `plpy` is the language's own, and what begins with a dot belongs to the same package.
        named.into_iter().filter(|name| !name.is_empty() && name != "plpy").collect()
    }

    /// A function that returns those of its argument which are not found, without importing any.
    fn search(self) -> &'static str {
        match self {
            Self::Python => {
                "CREATE FUNCTION pg_temp.pgops_missing(names text[]) RETURNS SETOF text LANGUAGE plpython3u AS $code$
import importlib.util
def found(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:
        return True
return [name for name in names if not found(name)]
$code$"
            }
            Self::Perl => {
                "CREATE FUNCTION pg_temp.pgops_missing(names text[]) RETURNS SETOF text LANGUAGE plperlu AS $code$
my ($names) = @_;
for my $name (@$names) {
    (my $file = \"$name.pm\") =~ s{::}{/}g;
    return_next($name) unless grep { -e \"$_/$file\" } @INC;
}
return undef;
$code$"
            }
        }
    }
}

/// Modules, each with the functions that import it.
pub type Modules = BTreeMap<String, BTreeSet<String>>;

/// The modules that functions of the database that `client` is connected to import.
pub async fn imported(client: &Client, language: Language) -> Result<Modules, ServerError> {
    let installed = "SELECT lanname::text FROM pg_language WHERE lanname::text = $1";
    if strings_with(client, "a language", installed, &[&language.name()]).await?.is_empty() {
        return Ok(Modules::new());
    }
    let failed = ServerError::query("modules that functions import");
    let sql = "SELECT p.oid::regprocedure::text, s[1] FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
               CROSS JOIN LATERAL regexp_matches(p.prosrc, $2, 'gn') AS s WHERE l.lanname::text = $1 AND p.oid >= 16384";
    let rows = client.query(sql, &[&language.name(), &language.statement()]).await.map_err(failed)?;
    let mut modules = BTreeMap::<_, BTreeSet<_>>::new();
    for row in &rows {
        let (function, statement) = read(row).map_err(failed)?;
        for module in language.modules(&statement) {
            modules.entry(module).or_default().insert(function.clone());
        }
    }
    Ok(modules)
}

fn read(row: &Row) -> Result<(String, String), tokio_postgres::Error> {
    Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0))
}

/// Those of the modules that a server without code of users does not find; none if it does not have the language, which is a
/// finding of its own. Nothing stays on the server.
pub async fn missing(
    scratch: &Client,
    language: Language,
    modules: &[String],
) -> Result<Vec<String>, ServerError> {
    let offered =
        format!("SELECT name::text FROM pg_available_extensions WHERE name = '{}'", language.name());
    if strings(scratch, "languages of the image", &offered).await?.is_empty() {
        return Ok(Vec::new());
    }
    let failed = ServerError::execute("look for modules in the target image");
    scratch.batch_execute("BEGIN").await.map_err(failed)?;
    let found = search(scratch, language, modules).await;
    scratch.batch_execute("ROLLBACK").await.map_err(failed)?;
    found
}

async fn search(
    scratch: &Client,
    language: Language,
    modules: &[String],
) -> Result<Vec<String>, ServerError> {
    let failed = ServerError::execute("look for modules in the target image");
    let create = format!("CREATE EXTENSION IF NOT EXISTS {}; {}", language.name(), language.search());
    scratch.batch_execute(&create).await.map_err(failed)?;
    let sql = "SELECT pg_temp.pgops_missing($1::text[])";
    strings_with(scratch, "modules of the target image", sql, &[&modules]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_those_that_python_imports() {
        let modules = |statement: &str| Language::Python.modules(statement);
        assert_eq!(modules("import json, numpy.linalg as la,scipy"), ["json", "numpy", "scipy"]);
        assert_eq!(modules("from sklearn.svm import SVC"), ["sklearn"]);
        assert_eq!(modules("import plpy"), [""; 0]);
        assert_eq!(modules("from . import own"), [""; 0]);
    }

    #[test]
    fn modules_are_those_that_perl_uses() {
        assert_eq!(Language::Perl.modules("use LWP::UserAgent"), ["LWP::UserAgent"]);
        assert_eq!(Language::Perl.modules("require\tEncode"), ["Encode"]);
    }

    #[test]
    fn statements_that_import_are_found() {
        let finds =
            |language: Language, line: &str| regex::Regex::new(language.statement()).unwrap().is_match(line);
        assert!(finds(Language::Python, "    from numpy import array"));
        assert!(!finds(Language::Python, "x = 'import numpy'"));
        assert!(finds(Language::Perl, "use JSON::XS;"));
        assert!(!finds(Language::Perl, "use strict;"), "pragmas are part of Perl");
    }
}
