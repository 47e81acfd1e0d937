//! The operation under review, with its objects parsed.

use kube::core::admission::Operation as Verb;

use super::decision::{Cause, Decision, UNREADABLE};
use super::object::{Object, ReviewedObject};
use super::request::AdmissionRequest;

/// The operation under review, with its objects parsed.
pub enum Operation<K> {
    /// A new object.
    Create(K),
    /// A changed spec.
    Update {
        /// The new object.
        new: K,
        /// The stored object.
        old: K,
    },
    /// The deletion of an object.
    Delete(K),
    /// An operation that no rule is about.
    Irrelevant,
}

impl<K: ReviewedObject> Operation<K> {
    /// Parses the objects of the request. One that cannot be parsed is denied if it is new, and passes if it
    /// was stored before.
    pub fn parse(request: &AdmissionRequest<'_>) -> Result<Self, Decision> {
        let parse = |object: &Object<'_>| object.parse::<K>(request.namespace.as_deref());
        let (new, old) = match (&request.operation, &request.object, &request.old_object) {
            (Verb::Create | Verb::Update, Some(new), _) if new.is_being_deleted() => {
                return Ok(Self::Irrelevant);
            }
            (Verb::Create, Some(new), _) => (new, None),
            (Verb::Update, Some(new), Some(old)) => match parse(old) {
                Ok(old) => (new, Some(old)),
                Err(_) => return Ok(Self::Irrelevant),
            },
            (Verb::Delete, _, Some(old)) => return Ok(parse(old).map_or(Self::Irrelevant, Self::Delete)),
            _ => return Ok(Self::Irrelevant),
        };
        let new = parse(new).map_err(|error| {
            Decision::Invalid(Cause {
                reason: UNREADABLE,
                message: format!("failed to read the {}: {error}", request.kind.kind),
                field: "spec".into(),
            })
        })?;
        Ok(match old {
            None => Self::Create(new),
            Some(old) if new.spec() == old.spec() => Self::Irrelevant,
            Some(old) => Self::Update { new, old },
        })
    }
}
