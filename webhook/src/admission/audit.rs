//! The audit log: one line per review, with the user, the object and the decision.

use kube::core::admission::Operation;

use super::decision::Answer;
use super::request::AdmissionRequest;

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
            uid: request.uid.clone().into_owned(),
            kind: request.kind.kind.clone().into_owned(),
            name: object_name(request),
            namespace: request.namespace.clone(),
            operation: request.operation.clone(),
            user: request.user_info.username.clone(),
            dry_run: request.dry_run,
            code: decision.code(),
            reason: decision.reason(),
            message: decision.cause().map(|cause| cause.message.clone()),
            warnings: decision.warnings().len(),
            patched: !answer.patch.is_empty(),
        }
    }

    /// Logs it.
    pub fn log(&self) {
        tracing::info!(
            uid = self.uid,
            kind = self.kind,
            name = self.name,
            namespace = self.namespace,
            operation = ?self.operation,
            user = self.user,
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
fn object_name(request: &AdmissionRequest<'_>) -> Option<String> {
    if !request.name.is_empty() {
        return Some(request.name.clone().into_owned());
    }
    let metadata = &request.object.as_ref()?.metadata;
    metadata.name.clone().or_else(|| metadata.generate_name.clone())
}
