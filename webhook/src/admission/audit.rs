//! One line a review: what was asked by whom, and what became of it.

use serde::Deserialize;

use super::object::peek;
use super::review::Request;
use super::verdict::Answer;

/// Names that an object may have before it is stored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    metadata: Names,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Names {
    name: Option<String>,
    generate_name: Option<String>,
}

/// Writes the line.
pub fn log(request: &Request<'_>, answer: &Answer) {
    let cause = answer.verdict.cause();
    tracing::info!(
        uid = &*request.uid,
        kind = &*request.kind.kind,
        name = name(request).as_deref(),
        namespace = request.namespace,
        operation = ?request.operation,
        user = request.user_info.username,
        dry_run = request.dry_run,
        allowed = cause.is_none(),
        code = answer.verdict.code(),
        reason = answer.verdict.reason(),
        message = cause.map(|cause| &*cause.message),
        warnings = answer.verdict.warnings().len(),
        patched = !answer.patch.is_empty(),
        "reviewed"
    );
}

/// A creation with generateName has no name yet.
fn name<'a>(request: &'a Request<'_>) -> Option<std::borrow::Cow<'a, str>> {
    if !request.name.is_empty() {
        return Some((&*request.name).into());
    }
    let Names { name, generate_name } = request.object.and_then(peek::<Named>)?.metadata;
    name.or(generate_name).map(Into::into)
}
