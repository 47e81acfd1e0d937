//! Names: of the database, whose children are named after it, and of objects that it refers to.

use super::problem::{SpecProblem, SpecProblemReason};
use crate::Postgres;

/// The StatefulSet's revisions are labels of 63 characters, with a hash after the name.
const MAX_DATABASE_NAME: usize = 52;
/// Length of the longest name of an object.
const MAX_NAME: usize = 253;
/// The newer field for a Secret with settings.
const SETTINGS_SECRET: &str = "spec.configuration.secretName";

/// The database's Services require a DNS label that starts with a letter.
pub(super) fn check(database: &Postgres) -> Option<SpecProblem> {
    // One that the API server has yet to generate is checked when the object is stored.
    let name = database.metadata.name.as_deref().filter(|name| !is_database_name(name))?;
    let message = format!(
        "\"{name}\" cannot name a StatefulSet and its Services: use at most {MAX_DATABASE_NAME} characters of a-z, 0-9 and \
         '-', starting with a letter"
    );
    Some(SpecProblem::new(SpecProblemReason::InvalidName, "metadata.name", message))
}

/// Whether a database may have that name, which those of its StatefulSet and its Services begin with.
fn is_database_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= MAX_DATABASE_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(is_plain)
}

/// The Secrets that the database refers to.
pub(super) fn check_references(database: &Postgres) -> impl Iterator<Item = SpecProblem> {
    let spec = &database.spec;
    let newer = spec.configuration.as_ref().and_then(|it| it.secret_name.as_deref());
    let references = [
        ("spec.authSecret.name", spec.auth_secret.as_ref().map(|it| it.name.as_str())),
        ("spec.configSecret.name", spec.config_secret.as_ref().map(|it| it.name.as_str())),
        (SETTINGS_SECRET, newer),
    ];
    let malformed = references.into_iter().filter_map(|(field, name)| {
        // An empty name counts as none.
        check_object_name(SpecProblemReason::InvalidReference, field, name.filter(|name| !name.is_empty())?)
    });
    malformed.chain(two_settings_secrets(database))
}

/// Two names of one field must not mean two Secrets.
fn two_settings_secrets(database: &Postgres) -> Option<SpecProblem> {
    let newer = database.settings_secret()?;
    let older = database.spec.config_secret.as_ref().map(|it| it.name.as_str());
    let older = older.filter(|older| !older.is_empty() && *older != newer)?;
    let message = format!(
        "\"{newer}\" is another Secret than spec.configSecret names (\"{older}\"), which is the older name of this field: keep \
         one of them"
    );
    Some(SpecProblem::new(SpecProblemReason::InvalidReference, SETTINGS_SECRET, message))
}

/// A name that no object can have.
pub(super) fn check_object_name(reason: SpecProblemReason, field: &str, name: &str) -> Option<SpecProblem> {
    if is_object_name(name) {
        return None;
    }
    let message = format!(
        "\"{}\" cannot be the name of an object: use at most {MAX_NAME} characters of a-z, 0-9, '-' and '.', starting and \
         ending with a letter or digit",
        crate::bounded(name, MAX_NAME, "")
    );
    Some(SpecProblem::new(reason, field, message))
}

/// Whether an object can have that name: a domain in lower case.
pub(super) fn is_object_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(inner)
    };
    name.len() <= MAX_NAME && name.split('.').all(is_part)
}
