//! The HTTP handlers `POST /validate` and `POST /mutate`.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use kube::Client;
use pgops_http::Peer;

use super::body_limits::BodyReader;
use super::decision::Decision;
use super::envelope::{self, Answered, Malformed};
use super::lookups::Lookups;
use super::outcome::{Outcome, Webhook};
use super::passing_denial::PassingDenial;
use super::rules;
use super::whole_database::WholeDatabase;
use super::worker_write::WorkerWrite;
use crate::cache::Caches;
use crate::metrics::{Metrics, ReviewLabels};

/// Answers the review in a body: a pure function, except for the log.
pub fn answer(caches: &Caches, webhook: Webhook, body: &[u8]) -> Result<Answered, Malformed> {
    envelope::answer(body, |request| match webhook {
        Webhook::Mutate => rules::mutate(caches, request),
        Webhook::Validate => rules::decide(caches, request).into(),
    })
}

/// The state that the handlers share.
struct Admission {
    caches: Arc<Caches>,
    metrics: Metrics,
    bodies: BodyReader,
    /// Of the API server, which knows more than the caches.
    lookups: Option<Lookups>,
}

/// The routes `POST /validate` and `POST /mutate`. Without a client, the caches alone decide.
pub fn router(caches: Arc<Caches>, metrics: Metrics, client: Option<Client>) -> Router {
    let admission = Arc::new(Admission {
        caches,
        metrics,
        bodies: BodyReader::default(),
        lookups: client.map(Lookups::new),
    });
    let route = |webhook| {
        let admission = admission.clone();
        post(async move |request: Request| admission.respond(webhook, request).await)
    };
    Router::new()
        .route("/mutate", route(Webhook::Mutate))
        .route("/validate", route(Webhook::Validate))
        .layer(BodyReader::limit())
}

impl Admission {
    /// 200 for every review: the API server treats any other status as an outage of the webhook.
    async fn respond(&self, webhook: Webhook, request: Request) -> Response {
        let peer = request.extensions().get::<Peer>().copied().unwrap_or_default();
        let body = match self.bodies.read(peer.address, request).await {
            Ok(body) => body,
            Err(error) => {
                tracing::warn!(peer = %peer.address, %error, "failed to receive a review");
                self.metrics.record_review(labels(webhook, Outcome::MALFORMED), None);
                return error.into_response();
            }
        };
        let received = Instant::now();
        match self.answer(webhook, &body).await {
            Ok(Answered { review, outcome, audit }) => {
                let response = Json(review).into_response();
                self.metrics.record_review(labels(webhook, outcome), Some(received.elapsed()));
                if let Some(entry) = audit {
                    tokio::spawn(async move { entry.log(peer) });
                }
                response
            }
            Err(error) => {
                tracing::warn!(
                    peer = %peer.address,
                    error = &error as &dyn Error,
                    bytes = body.len(),
                    "the body is not an AdmissionReview"
                );
                self.metrics.record_review(labels(webhook, Outcome::MALFORMED), None);
                let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                (StatusCode::BAD_REQUEST, format!("{error}{source}\n")).into_response()
            }
        }
    }

    /// Answers from the caches, unless they may not know the worker that writes or why a request need no longer be denied, or
    /// lack what a request is about.
    async fn answer(&self, webhook: Webhook, body: &[u8]) -> Result<Answered, Malformed> {
        let answered = answer(&self.caches, webhook, body)?;
        let Some(lookups) = &self.lookups else { return Ok(answered) };
        if let Some(write) = WorkerWrite::denied(&answered.outcome, body)
            && write.is_confirmed(lookups).await
        {
            return envelope::answer(body, |_| Decision::Allowed(Vec::new()).into());
        }
        if let Some(denial) = PassingDenial::of(&answered.outcome, body)
            && let Some(current) = denial.current(&self.caches, lookups).await
        {
            return envelope::answer(body, |request| {
                rules::decide_again(&self.caches, request, current).into()
            });
        }
        if let Some(request) = WholeDatabase::needed(&answered.outcome, body)
            && let Some(denial) = request.denial(&self.caches, lookups).await
        {
            return envelope::answer(body, |_| Decision::from(denial).into());
        }
        Ok(answered)
    }
}

fn labels(webhook: Webhook, outcome: Outcome) -> ReviewLabels {
    let Outcome { kind, decision, reason } = outcome;
    ReviewLabels { webhook: webhook.as_str(), kind, verdict: decision, reason }
}
