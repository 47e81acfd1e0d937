//! The envelope: from bytes to a request, and from an answer to a review.

use std::borrow::Cow;

use kube::core::DynamicObject;
use kube::core::admission::{AdmissionResponse, AdmissionReview as Review, Operation};
use serde::Deserialize;

use super::audit;
use super::object::Object;
use super::verdict::{Answer, Outcome};

/// A body to which no answer can be given.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not the JSON of a review.
    #[error("failed to read an AdmissionReview of admission.k8s.io/v1")]
    NoReview(#[source] serde_json::Error),
    /// A review that asks nothing.
    #[error("failed to read the AdmissionReview: it has no request")]
    NoRequest,
}

/// What the API server sends.
#[derive(Deserialize)]
struct AdmissionReview<'a> {
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

/// What is asked. Of the objects only those parts are read that a rule is about: reading is most of the work
/// of a review.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// Names the review; the answer repeats it.
    #[serde(borrow)]
    pub uid: Cow<'a, str>,
    /// What the object is.
    #[serde(borrow)]
    pub kind: Kind<'a>,
    /// What is done with it.
    pub operation: Operation,
    /// The object's name; empty where the API server will make one up.
    #[serde(borrow, default)]
    pub name: Cow<'a, str>,
    /// The object's namespace, if it has one.
    pub namespace: Option<String>,
    /// The part of the object that is written, if it is not the whole.
    pub sub_resource: Option<String>,
    /// Who does it.
    #[serde(default)]
    pub user_info: User,
    /// Nothing of it will be stored.
    #[serde(default)]
    pub dry_run: bool,
    /// The object as it shall be; none for a deletion.
    #[serde(borrow)]
    pub object: Option<Object<'a>>,
    /// The object as it is; none for a creation.
    #[serde(borrow)]
    pub old_object: Option<Object<'a>>,
}

/// What an object is.
#[derive(Debug, Deserialize)]
pub struct Kind<'a> {
    /// Its API group.
    #[serde(borrow)]
    pub group: Cow<'a, str>,
    /// Its kind.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
}

/// Who does it.
#[derive(Debug, Default, Deserialize)]
pub struct User {
    /// The name that rights are given to.
    #[serde(default)]
    pub username: String,
}

/// The least of a review that an answer can be assigned to.
#[derive(Deserialize)]
struct Envelope {
    request: EnvelopeRequest,
}

#[derive(Deserialize)]
struct EnvelopeRequest {
    uid: String,
}

impl Request<'_> {
    /// Whether the review is about a part of an object, such as its status.
    pub fn is_about_a_part(&self) -> bool {
        self.sub_resource.as_deref().is_some_and(|name| !name.is_empty())
    }
}

/// A review that was answered.
pub struct Answered {
    /// What the API server gets.
    pub review: Review<DynamicObject>,
    /// What became of it, in words for machines.
    pub outcome: Outcome,
    /// The line about it in the log; none if it could not be read, which was told.
    pub(super) line: Option<audit::Line>,
}

/// Answers the review in the body. A request that cannot be read is refused under its own uid.
pub fn answer(body: &[u8], decide: impl FnOnce(&Request<'_>) -> Answer) -> Result<Answered, Malformed> {
    let review = match serde_json::from_slice::<AdmissionReview<'_>>(body) {
        Ok(review) => review,
        Err(error) => return refuse_unreadable(body, error),
    };
    let request = review.request.ok_or(Malformed::NoRequest)?;
    let answer = decide(&request);
    let (outcome, line) = (answer.outcome(&request), audit::Line::new(&request, &answer));
    Ok(Answered { review: answer.into_response(&request).into_review(), outcome, line: Some(line) })
}

fn refuse_unreadable(body: &[u8], error: serde_json::Error) -> Result<Answered, Malformed> {
    let Ok(Envelope { request }) = serde_json::from_slice(body) else {
        return Err(Malformed::NoReview(error));
    };
    tracing::warn!(uid = request.uid, %error, "a review could not be read, and was refused");
    let mut response =
        AdmissionResponse::invalid(format!("failed to read the request under review: {error}"));
    response.uid = request.uid;
    Ok(Answered { review: response.into_review(), outcome: Outcome::UNREADABLE, line: None })
}
