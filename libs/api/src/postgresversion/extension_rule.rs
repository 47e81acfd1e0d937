//! Entries of `spec.extensions`, parsed: admission denies what the runner could not use.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::extension::{ExtensionSpec, Preload, UpdateBeforeUpgrade};
use super::function_name::{FunctionName, InvalidFunctionName};
use crate::constraint::{Constraint, ConstraintError};

/// How many extensions an entry may have: all of them are part of the plan, an environment variable, which the kernel limits to
/// 128 KiB.
pub const MAX_EXTENSIONS: usize = 32;
/// The longest name of `PostgreSQL`, in bytes (`NAMEDATALEN`).
const MAX_NAME: usize = 63;
/// The longest free text, in characters.
const MAX_TEXT: usize = 256;

/// What a catalog entry says of an extension.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExtensionRule {
    /// Name of the extension.
    pub name: String,
    /// Need and library; the library has the extension's name if the entry names none.
    pub preload: Option<(Preload, String)>,
    /// Function that completes its update.
    pub update_function: Option<FunctionName>,
    /// Whether it may be dropped and created again.
    pub recreate: Option<bool>,
    /// The version that it must have before the upgrade.
    pub update_before_upgrade: Option<UpdateBeforeUpgrade>,
    /// Versions that cannot be upgraded.
    pub not_carried: Option<Constraint>,
    /// What an operator is to do.
    pub instructions: Option<String>,
}

/// A field of `spec.extensions` with a value that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidExtension {
    /// Path of the field, such as `spec.extensions[0].name`.
    pub field: String,
    /// What is wrong, and what is expected.
    pub problem: ExtensionProblem,
}

/// What is wrong with a field of `spec.extensions`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExtensionProblem {
    /// The list is too long.
    #[error("{0} extensions are too many: at most {MAX_EXTENSIONS} are accepted")]
    TooMany(usize),
    /// The server would not accept the name.
    #[error(
        "\"{0}\" is not the name of an extension: expected at most {MAX_NAME} bytes without slashes, control characters, \
         \"--\", and \"-\" at either end"
    )]
    Name(String),
    /// Two entries have the same name.
    #[error("\"{0}\" is listed twice: merge the two entries")]
    Duplicate(String),
    /// `library` without `preload`.
    #[error("says nothing without preload: set preload, or remove it")]
    WithoutPreload,
    /// A library of another place than the image's own directory.
    #[error(
        "\"{0}\" is not a library's name: expected a name without directories, such as \"pg_cron\", made of letters, digits, \
         \"_\", \"-\" and \".\""
    )]
    Library(String),
    /// Anything but the name of a function.
    #[error(transparent)]
    Function(#[from] InvalidFunctionName),
    /// Not a constraint.
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    /// Too long, or with control characters.
    #[error("expected at most {MAX_TEXT} characters in one line")]
    Text,
}

impl ExtensionRule {
    /// Parses the entries of a `PostgresVersion`; the first invalid field is the error.
    pub fn parse_all(specs: &[ExtensionSpec]) -> Result<Vec<Self>, InvalidExtension> {
        if specs.len() > MAX_EXTENSIONS {
            let problem = ExtensionProblem::TooMany(specs.len());
            return Err(InvalidExtension { field: "spec.extensions".to_owned(), problem });
        }
        let mut names = BTreeSet::new();
        let mut rules = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let invalid = |field: &str, problem| InvalidExtension {
                field: format!("spec.extensions[{index}].{field}"),
                problem,
            };
            rules.push(Self::parse(spec).map_err(|(field, problem)| invalid(field, problem))?);
            if !names.insert(spec.name.as_str()) {
                return Err(invalid("name", ExtensionProblem::Duplicate(spec.name.clone())));
            }
        }
        Ok(rules)
    }

    /// Fails with the name of the field.
    fn parse(spec: &ExtensionSpec) -> Result<Self, (&'static str, ExtensionProblem)> {
        use ExtensionProblem::{Constraint, Library, Name, Text, WithoutPreload};
        if !is_extension_name(&spec.name) {
            return Err(("name", Name(spec.name.clone())));
        }
        let preload = match (spec.preload, &spec.library) {
            (None, Some(_)) => return Err(("library", WithoutPreload)),
            (_, Some(library)) if !is_library(library) => return Err(("library", Library(library.clone()))),
            // No library has such a name.
            (Some(_), None) if !is_library(&spec.name) => {
                return Err(("preload", Library(spec.name.clone())));
            }
            (need, library) => need.map(|need| (need, library.as_ref().unwrap_or(&spec.name).clone())),
        };
        let update_function = spec.update_function.as_deref().map(FunctionName::from_str).transpose();
        let not_carried = spec.not_carried.as_deref().map(str::parse).transpose();
        if spec.instructions.as_deref().is_some_and(|text| !is_line(text)) {
            return Err(("instructions", Text));
        }
        Ok(Self {
            name: spec.name.clone(),
            preload,
            update_function: update_function.map_err(|error| ("updateFunction", error.into()))?,
            recreate: spec.recreate,
            update_before_upgrade: spec.update_before_upgrade,
            not_carried: not_carried.map_err(|error| ("notCarried", Constraint(error)))?,
            instructions: spec.instructions.clone(),
        })
    }

    /// Whether it says nothing but a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            name: _,
            preload,
            update_function,
            recreate,
            update_before_upgrade,
            not_carried,
            instructions,
        } = self;
        preload.is_none()
            && update_function.is_none()
            && recreate.is_none()
            && update_before_upgrade.is_none()
            && not_carried.is_none()
            && instructions.is_none()
    }
}

/// The rule of the server (`check_valid_extension_name`, src/backend/commands/extension.c).
fn is_extension_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\'))
}

/// Whether it is the name of a library in the image's own directory.
fn is_library(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(is_plain)
}

fn is_line(text: &str) -> bool {
    text.chars().count() <= MAX_TEXT && !text.contains(char::is_control) && !text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn spec(change: impl FnOnce(&mut ExtensionSpec)) -> ExtensionSpec {
        let mut spec = ExtensionSpec { name: "ledger".into(), ..ExtensionSpec::default() };
        change(&mut spec);
        spec
    }

    fn error(change: impl FnOnce(&mut ExtensionSpec)) -> String {
        let specs = [ExtensionSpec { name: "hstore".into(), ..ExtensionSpec::default() }, spec(change)];
        ExtensionRule::parse_all(&specs).unwrap_err().to_string()
    }

    fn rule(change: impl FnOnce(&mut ExtensionSpec)) -> ExtensionRule {
        ExtensionRule::parse_all(&[spec(change)]).unwrap().remove(0)
    }

    #[test]
    fn extension_rule_has_what_its_entry_says() {
        let rule = rule(|it| {
            it.preload = Some(Preload::Data);
            it.update_function = Some("accounts.ledger_upgrade".into());
            it.not_carried = Some("< 2.5".into());
        });
        assert_eq!(rule.preload, Some((Preload::Data, "ledger".to_owned())));
        let function = rule.update_function.as_ref().unwrap();
        assert_eq!(
            (function.schema.as_deref(), function.name.as_str()),
            (Some("accounts"), "ledger_upgrade")
        );
        assert_eq!(function.to_string(), "accounts.ledger_upgrade");
        assert!(!rule.is_empty());
    }

    #[test]
    fn extension_rule_that_says_nothing_is_empty() {
        assert!(rule(|_| ()).is_empty());
        assert!(!rule(|it| it.recreate = Some(false)).is_empty(), "it contradicts what is built in");
    }

    #[test]
    fn library_may_have_another_name_than_its_extension() {
        let rule = rule(|it| {
            it.preload = Some(Preload::Never);
            it.library = Some("ledger_worker".into());
        });
        assert_eq!(rule.preload, Some((Preload::Never, "ledger_worker".to_owned())));
    }

    #[rstest]
    #[case::empty("")]
    #[case::update_script("ledger--1.0")]
    #[case::directory("../ledger")]
    #[case::hyphen("-ledger")]
    #[case::line_break("led\nger")]
    fn name_that_the_server_rejects_is_invalid(#[case] name: &str) {
        let error = error(|it| it.name = name.into());
        assert!(error.starts_with("spec.extensions[1].name: "), "{error}");
    }

    #[test]
    fn names_are_accepted_as_the_server_accepts_them() {
        for name in ["uuid-ossp", "Größe", "pg_stat_statements"] {
            assert!(ExtensionRule::parse_all(&[spec(|it| it.name = name.into())]).is_ok(), "{name}");
        }
    }

    #[test]
    fn extension_is_listed_once() {
        let error = error(|it| it.name = "hstore".into());
        assert_eq!(error, "spec.extensions[1].name: \"hstore\" is listed twice: merge the two entries");
    }

    #[test]
    fn library_is_one_of_the_image_and_has_a_purpose() {
        let without = error(|it| it.library = Some("ledger".into()));
        assert!(without.starts_with("spec.extensions[1].library: says nothing without preload"), "{without}");
        let elsewhere = error(|it| {
            it.preload = Some(Preload::Restore);
            it.library = Some("/var/pv/ledger".into());
        });
        assert!(elsewhere.contains("is not a library's name"), "{elsewhere}");
    }

    #[test]
    fn function_constraint_and_text_are_checked() {
        let function = error(|it| it.update_function = Some("f()".into()));
        assert!(function.starts_with("spec.extensions[1].updateFunction: \"f()\" is not"), "{function}");
        let constraint = error(|it| it.not_carried = Some("older than 2.5".into()));
        assert!(
            constraint.starts_with("spec.extensions[1].notCarried: \"older than 2.5\" is not"),
            "{constraint}"
        );
        for text in ["a\nb".to_owned(), "x".repeat(257), " ".to_owned()] {
            let error = error(|it| it.instructions = Some(text));
            assert!(error.starts_with("spec.extensions[1].instructions: expected at most 256"), "{error}");
        }
    }

    #[test]
    fn list_of_extensions_is_bounded() {
        let specs: Vec<_> = (0..=MAX_EXTENSIONS).map(|at| spec(|it| it.name = format!("e{at}"))).collect();
        let error = ExtensionRule::parse_all(&specs).unwrap_err().to_string();
        assert_eq!(error, "spec.extensions: 33 extensions are too many: at most 32 are accepted");
    }
}
