//! Names: of the database, whose children are named after it, and of objects that it refers to.

use super::problem::{SpecProblem, SpecProblemReason};
use crate::Postgres;

/// The StatefulSet's revisions are labels of 63 characters, with a hash after the name.
const MAX_DATABASE_NAME: usize = 52;
/// Length of the longest name of an object.
const MAX_NAME: usize = 253;

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
#[must_use]
pub fn is_database_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= MAX_DATABASE_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(is_plain)
}

/// The Secrets that the database refers to.
pub(super) fn check_references(database: &Postgres) -> impl Iterator<Item = SpecProblem> {
    let spec = &database.spec;
    let references =
        [("spec.authSecret.name", &spec.auth_secret), ("spec.configSecret.name", &spec.config_secret)];
    references.into_iter().filter_map(|(field, reference)| {
        // An empty name counts as none.
        let name = reference.as_ref().map(|it| it.name.as_str()).filter(|name| !name.is_empty())?;
        check_object_name(SpecProblemReason::InvalidReference, field, name)
    })
}

/// A name that no object can have.
pub(super) fn check_object_name(reason: SpecProblemReason, field: &str, name: &str) -> Option<SpecProblem> {
    let is_part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(inner)
    };
    if name.len() <= MAX_NAME && name.split('.').all(is_part) {
        return None;
    }
    let message = format!(
        "\"{}\" cannot be the name of an object: use at most {MAX_NAME} characters of a-z, 0-9, '-' and '.', starting and \
         ending with a letter or digit",
        crate::bounded(name, MAX_NAME, "")
    );
    Some(SpecProblem::new(reason, field, message))
}
