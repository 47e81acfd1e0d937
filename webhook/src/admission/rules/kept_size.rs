//! A size of the volume that a request has set: it stays if an earlier manifest is applied.
//!
//! A request does not change the repository. If the smaller size were refused, nothing of the manifest would be applied any
//! more, since a volume cannot shrink.

use pgops_api::admission::NamespacedName;
use pgops_api::names::ANNOTATION_EXPANDED_TO;
use pgops_api::quantity::Quantity;
use serde_json::{Value, json};

use super::defaults::set;
use super::kept::{Kept, changed_database};
use crate::admission::object::Object;
use crate::admission::request::AdmissionRequest;

const SIZE: [&str; 5] = ["spec", "storage", "resources", "requests", "storage"];

/// Puts the size back that a request has set, unless an annotation lifts the guards. One that a user has set since then is no
/// request's: of that the validating webhook decides.
pub fn keep(request: &AdmissionRequest<'_>) -> Option<Kept> {
    let (new, old) = changed_database(request)?;
    let by_request = old.annotation(ANNOTATION_EXPANDED_TO)?;
    if new.overrides_guards() {
        return None;
    }
    let (before, now) = (size(old)?, size(new)?);
    let amount = |text: &str| text.parse::<Quantity>().ok();
    let stored = amount(&before)?;
    if amount(by_request)? != stored || amount(&now)? >= stored {
        return None;
    }
    let database =
        NamespacedName { namespace: request.namespace.as_deref()?, name: new.metadata.name.as_deref()? };
    let warning = format!(
        "spec.storage of {database} stays {before}: {now} is outdated, since a PostgresOpsRequest has expanded the volume, which \
         cannot shrink; set {before} in the manifest"
    );
    Some(Kept { warning, change: set(SIZE, json!(before)) })
}

/// The requested size, which may be a number.
fn size(object: &Object<'_>) -> Option<String> {
    let spec: Value = object.peek_spec()?;
    match spec.pointer("/storage/resources/requests/storage")? {
        Value::String(text) => Some(text.clone()),
        number @ Value::Number(_) => Some(number.to_string()),
        _ => None,
    }
}
