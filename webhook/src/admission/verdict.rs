//! The verdict on a review, and how it is put for the API server.

use std::borrow::Cow;

use kube::core::admission::{AdmissionRequest, AdmissionResponse, Operation};
use kube::core::response::{Status, StatusCause, StatusDetails};
use kube::core::{DynamicObject, Resource};
use pgops_api::admission::{Denial, shorten_warning};
use serde::de::DeserializeOwned;

use super::caches::Caches;
use super::{databases, requests, versions};

/// What becomes of a review.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It goes on; the user hears these lines.
    Allowed(Vec<String>),
    /// A rule or the state of the cluster stands against it: 403.
    Forbidden(Cause),
    /// A field of the object is wrong whatever else is in the cluster: 422.
    Invalid(Cause),
}

/// Why a review is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cause {
    /// One word for machines.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Path of the field that stands in the way.
    pub field: Cow<'static, str>,
}

/// What a review asks, with the objects parsed.
pub enum Asked<K> {
    /// A new object.
    Create(K),
    /// Another spec.
    Change {
        /// The object as it shall be.
        new: K,
        /// The object as it is.
        old: K,
    },
    /// The end of an object.
    Delete(K),
    /// Nothing that a rule is about.
    Nothing,
}

/// The verdict on any review: a pure function of the request and the caches.
///
/// Status writes, objects on their way out and whatever leaves the spec as it is go through: a webhook
/// that stands in the way of those locks up finalizers and namespaces.
pub fn judge(caches: &Caches, request: &AdmissionRequest<DynamicObject>) -> Verdict {
    let leaving = request.object.as_ref().is_some_and(|object| object.metadata.deletion_timestamp.is_some());
    if leaving || is_subresource(request) {
        return Verdict::Allowed(Vec::new());
    }
    match (request.kind.group.as_str(), request.kind.kind.as_str()) {
        ("ops.kubedb.com", "PostgresOpsRequest") => requests::judge(caches, request),
        ("kubedb.com", "Postgres") => databases::judge(caches, request),
        ("catalog.kubedb.com", "PostgresVersion") => versions::judge(caches, request),
        (group, kind) => Verdict::Allowed(vec![format!(
            "pgops has no rules for {kind} of group \"{group}\", so this passed unchecked: its webhook \
             configuration names a kind too many"
        )]),
    }
}

/// Whether the review is about a part of an object, such as its status.
pub fn is_subresource(request: &AdmissionRequest<DynamicObject>) -> bool {
    request.sub_resource.as_deref().is_some_and(|name| !name.is_empty())
}

impl<K: Resource + DeserializeOwned> Asked<K> {
    /// Parses what the review asks. What cannot be read is refused where it is new, and let go where it
    /// was stored before.
    pub fn read(request: &AdmissionRequest<DynamicObject>) -> Result<Self, Verdict> {
        match (&request.operation, &request.object, &request.old_object) {
            (Operation::Create, Some(new), _) => parse(request, new).map(Self::Create),
            (Operation::Update, Some(new), Some(old)) if new.data["spec"] != old.data["spec"] => {
                let Ok(old) = parse(request, old) else { return Ok(Self::Nothing) };
                Ok(Self::Change { new: parse(request, new)?, old })
            }
            (Operation::Delete, _, Some(old)) => Ok(parse(request, old).map_or(Self::Nothing, Self::Delete)),
            _ => Ok(Self::Nothing),
        }
    }
}

fn parse<K: Resource + DeserializeOwned>(
    request: &AdmissionRequest<DynamicObject>,
    object: &DynamicObject,
) -> Result<K, Verdict> {
    // A failure must name the field, which serde alone does not.
    let parsed = serde_json::to_value(object).map_err(|error| error.to_string()).and_then(|object| {
        serde_path_to_error::deserialize::<_, K>(object).map_err(|error| error.to_string())
    });
    let mut object = parsed.map_err(|error| {
        let message = format!("failed to read the {}: {error}", request.kind.kind);
        Verdict::Invalid(Cause { reason: "Unreadable", message, field: "spec".into() })
    })?;
    object.meta_mut().namespace.clone_from(&request.namespace);
    Ok(object)
}

impl From<Denial> for Verdict {
    fn from(denial: Denial) -> Self {
        let Denial { reason, message, field } = denial;
        let cause = Cause { reason: reason.as_str(), message, field: field.into() };
        if reason.is_shape() { Self::Invalid(cause) } else { Self::Forbidden(cause) }
    }
}

impl Verdict {
    /// Puts the verdict so that kubectl prints its message: it prints that of a 403 whole, and of a 422
    /// the causes only.
    pub fn into_response(self, request: &AdmissionRequest<DynamicObject>) -> AdmissionResponse {
        let mut response = AdmissionResponse::from(request);
        let (code, reason, cause) = match self {
            Self::Allowed(warnings) => {
                response.result.code = 200;
                let warnings: Vec<_> = warnings.iter().map(|line| shorten_warning(line)).collect();
                response.warnings = (!warnings.is_empty()).then_some(warnings);
                return response;
            }
            Self::Forbidden(cause) => (403, "Forbidden", cause),
            Self::Invalid(cause) => (422, "Invalid", cause),
        };
        let Cause { reason: word, message, field } = cause;
        // kubectl puts the field before the message of a cause.
        let after_field = message.strip_prefix(&*field).and_then(|rest| rest.strip_prefix(": "));
        let cause = StatusCause {
            reason: word.to_owned(),
            message: after_field.unwrap_or(&message).to_owned(),
            field: field.into_owned(),
        };
        response.allowed = false;
        response.result = Status::failure(&message, reason).with_code(code).with_details(StatusDetails {
            name: request.name.clone(),
            group: request.kind.group.clone(),
            kind: request.kind.kind.clone(),
            uid: String::new(),
            causes: vec![cause],
            retry_after_seconds: 0,
        });
        response
    }
}
