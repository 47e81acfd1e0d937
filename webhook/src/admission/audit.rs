//! The audit log: one line per review, with the user, the object and the decision.

use kube::core::admission::Operation;
use pgops_http::{Identity, Peer};

use super::bounds;
use super::decision::Answer;
use super::request::AdmissionRequest;

/// Length in bytes of the longest name or user in the log. Any client can send a review, and must neither fill the node's
/// disk nor the memory for lines that are not yet written.
const MAX_NAME: usize = 512;
/// Length in bytes of the longest message in the log.
const MAX_MESSAGE: usize = 2048;

/// The line, to be logged after the response is sent: logging takes a quarter of the time of the decision.
pub struct AuditEntry {
    uid: String,
    kind: String,
    name: Option<String>,
    namespace: Option<String>,
    operation: Operation,
    user: String,
    dry_run: bool,
    code: u16,
    reason: &'static str,
    message: Option<String>,
    warnings: usize,
    patched: bool,
}

impl AuditEntry {
    /// The line about this review.
    pub fn new(request: &AdmissionRequest<'_>, answer: &Answer) -> Self {
        let decision = &answer.decision;
        Self {
            uid: shorten(&request.uid),
            kind: shorten(&request.kind.kind),
            name: object_name(request).map(shorten),
            namespace: request.namespace.as_deref().map(shorten),
            operation: request.operation.clone(),
            user: shorten(&request.user_info.username),
            dry_run: request.dry_run,
            code: decision.code(),
            reason: decision.reason(),
            message: decision.cause().map(|cause| bounds::shorten(&cause.message, MAX_MESSAGE)),
            warnings: decision.warnings().len(),
            patched: !answer.patch.is_empty(),
        }
    }

    /// Logs it. The review names the user; only if the client is verified is it an API server, which has authenticated
    /// that user.
    pub fn log(&self, peer: Peer) {
        let is_verified = peer.identity == Identity::Verified;
        tracing::info!(
            uid = self.uid,
            kind = self.kind,
            name = self.name,
            namespace = self.namespace,
            operation = ?self.operation,
            user = is_verified.then_some(&*self.user),
            claimed_user = (!is_verified).then_some(&*self.user),
            peer = %peer.address,
            dry_run = self.dry_run,
            allowed = self.message.is_none(),
            code = self.code,
            reason = self.reason,
            message = self.message,
            warnings = self.warnings,
            patched = self.patched,
            "reviewed"
        );
    }
}

/// The object's name, or its generateName if it has no name yet.
fn object_name<'a>(request: &'a AdmissionRequest<'_>) -> Option<&'a str> {
    if !request.name.is_empty() {
        return Some(&request.name);
    }
    let metadata = &request.object.as_ref()?.metadata;
    metadata.name.as_deref().or(metadata.generate_name.as_deref())
}

fn shorten(text: &str) -> String {
    bounds::shorten(text, MAX_NAME)
}
