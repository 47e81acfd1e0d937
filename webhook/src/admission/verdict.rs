//! The verdict on a review, and how it is put for the API server.

use std::borrow::Cow;
use std::collections::HashMap;

use json_patch::{Patch, PatchOperation};
use kube::core::admission::{AdmissionResponse, Operation};
use kube::core::response::{Status, StatusCause, StatusDetails};
use pgops_api::admission::{Denial, shorten_warning};

use super::object::{Object, Reviewed};
use super::review::Request;
use super::{databases, requests, versions};
use crate::cache::Caches;

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

/// A verdict, with the changes to the object that make it what it means.
pub struct Answer {
    /// What becomes of the review.
    pub verdict: Verdict,
    /// Nothing for most.
    pub patch: Vec<PatchOperation>,
}

/// What became of a review, in words for machines. There are few of each.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Outcome {
    /// The object's kind; `other` for one that no rule is about, empty if it could not be read.
    pub kind: &'static str,
    /// `allowed`, `forbidden`, `invalid`, or `malformed` for what is no review.
    pub verdict: &'static str,
    /// `Allowed`, or why it was refused.
    pub reason: &'static str,
}

impl Outcome {
    /// Of a body that cannot be received, or is no review.
    pub const MALFORMED: Self = Self { kind: "", verdict: "malformed", reason: "Malformed" };
    /// Of a review whose request cannot be read.
    pub const UNREADABLE: Self = Self { kind: "", verdict: "invalid", reason: UNREADABLE };
}

/// The reason of what cannot be read.
pub const UNREADABLE: &str = "Unreadable";

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
pub fn judge(caches: &Caches, request: &Request<'_>) -> Verdict {
    if request.is_about_a_part() {
        return Verdict::Allowed(Vec::new());
    }
    match (&*request.kind.group, &*request.kind.kind) {
        ("ops.kubedb.com", "PostgresOpsRequest") => requests::judge(caches, request),
        ("kubedb.com", "Postgres") => databases::judge(caches, request),
        ("catalog.kubedb.com", "PostgresVersion") => versions::judge(caches, request),
        (group, kind) => Verdict::Allowed(vec![format!(
            "pgops has no rules for {kind} of group \"{group}\", so this passed unchecked: its webhook \
             configuration names a kind too many"
        )]),
    }
}

impl<K: Reviewed> Asked<K> {
    /// Reads what the review asks. What cannot be read is refused where it is new, and let go where it
    /// was stored before.
    pub fn read(request: &Request<'_>) -> Result<Self, Verdict> {
        let read = |object: &Object<'_>| object.read::<K>(request.namespace.as_deref());
        let (new, old) = match (&request.operation, &request.object, &request.old_object) {
            (Operation::Create | Operation::Update, Some(new), _) if new.is_leaving() => {
                return Ok(Self::Nothing);
            }
            (Operation::Create, Some(new), _) => (new, None),
            (Operation::Update, Some(new), Some(old)) => match read(old) {
                Ok(old) => (new, Some(old)),
                Err(_) => return Ok(Self::Nothing),
            },
            (Operation::Delete, _, Some(old)) => return Ok(read(old).map_or(Self::Nothing, Self::Delete)),
            _ => return Ok(Self::Nothing),
        };
        let new = read(new).map_err(|error| {
            Verdict::Invalid(Cause {
                reason: UNREADABLE,
                message: format!("failed to read the {}: {error}", request.kind.kind),
                field: "spec".into(),
            })
        })?;
        Ok(match old {
            None => Self::Create(new),
            Some(old) if new.spec() == old.spec() => Self::Nothing,
            Some(old) => Self::Change { new, old },
        })
    }
}

impl From<Denial> for Verdict {
    fn from(denial: Denial) -> Self {
        let Denial { reason, message, field } = denial;
        let cause = Cause { reason: reason.as_str(), message, field: field.into() };
        if reason.is_shape() { Self::Invalid(cause) } else { Self::Forbidden(cause) }
    }
}

impl Verdict {
    /// Why the review is refused, if it is.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Allowed(_) => None,
            Self::Forbidden(cause) | Self::Invalid(cause) => Some(cause),
        }
    }

    /// What the user hears although the review goes on.
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Allowed(warnings) => warnings,
            Self::Forbidden(_) | Self::Invalid(_) => &[],
        }
    }

    /// The HTTP status of the user's own request.
    pub fn code(&self) -> u16 {
        match self {
            Self::Allowed(_) => 200,
            Self::Forbidden(_) => 403,
            Self::Invalid(_) => 422,
        }
    }

    /// One word for machines.
    pub fn reason(&self) -> &'static str {
        self.cause().map_or("Allowed", |cause| cause.reason)
    }
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, patch: Vec::new() }
    }
}

impl Answer {
    /// What became of the review, in words for machines.
    pub fn outcome(&self, request: &Request<'_>) -> Outcome {
        let kind = match &*request.kind.kind {
            "Postgres" => "Postgres",
            "PostgresOpsRequest" => "PostgresOpsRequest",
            "PostgresVersion" => "PostgresVersion",
            _ => "other",
        };
        let verdict = match self.verdict {
            Verdict::Allowed(_) => "allowed",
            Verdict::Forbidden(_) => "forbidden",
            Verdict::Invalid(_) => "invalid",
        };
        Outcome { kind, verdict, reason: self.verdict.reason() }
    }

    /// Puts the answer so that kubectl prints its message: it prints that of a 403 whole, and of a 422
    /// the causes only. The API server's audit log names the reason, under this webhook's name.
    pub fn into_response(self, request: &Request<'_>) -> AdmissionResponse {
        let mut response = AdmissionResponse::invalid("");
        response.uid = request.uid.clone().into_owned();
        response.audit_annotations = HashMap::from([("reason".into(), self.verdict.reason().into())]);
        let code = self.verdict.code();
        let (status, cause) = match self.verdict {
            Verdict::Allowed(warnings) => return self::allow(response, &warnings, self.patch),
            Verdict::Forbidden(cause) => ("Forbidden", cause),
            Verdict::Invalid(cause) => ("Invalid", cause),
        };
        let Cause { reason, message, field } = cause;
        // kubectl puts the field before the message of a cause.
        let after_field = message.strip_prefix(&*field).and_then(|rest| rest.strip_prefix(": "));
        let cause = StatusCause {
            reason: reason.to_owned(),
            message: after_field.unwrap_or(&message).to_owned(),
            field: field.into_owned(),
        };
        response.result = Status::failure(&message, status).with_code(code).with_details(StatusDetails {
            name: request.name.clone().into_owned(),
            group: request.kind.group.clone().into_owned(),
            kind: request.kind.kind.clone().into_owned(),
            uid: String::new(),
            causes: vec![cause],
            retry_after_seconds: 0,
        });
        response
    }
}

fn allow(
    mut response: AdmissionResponse,
    warnings: &[String],
    patch: Vec<PatchOperation>,
) -> AdmissionResponse {
    response.allowed = true;
    response.result = Status { code: 200, ..Status::default() };
    response.warnings =
        (!warnings.is_empty()).then(|| warnings.iter().map(|line| shorten_warning(line)).collect());
    if patch.is_empty() {
        return response;
    }
    match response.clone().with_patch(Patch(patch)) {
        Ok(patched) => patched,
        Err(error) => {
            tracing::error!(uid = response.uid, %error, "the object was left as it is");
            response
        }
    }
}
