//! One line a review: what was asked by whom, and what became of it.

use kube::core::admission::Operation;

use super::review::Request;
use super::verdict::Answer;

/// The line, to be written when the answer is on its way: writing it takes as long as a fourth of deciding.
pub struct Line {
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

impl Line {
    /// About this review.
    pub fn new(request: &Request<'_>, answer: &Answer) -> Self {
        let verdict = &answer.verdict;
        Self {
            uid: request.uid.clone().into_owned(),
            kind: request.kind.kind.clone().into_owned(),
            name: name(request),
            namespace: request.namespace.clone(),
            operation: request.operation.clone(),
            user: request.user_info.username.clone(),
            dry_run: request.dry_run,
            code: verdict.code(),
            reason: verdict.reason(),
            message: verdict.cause().map(|cause| cause.message.clone()),
            warnings: verdict.warnings().len(),
            patched: !answer.patch.is_empty(),
        }
    }

    /// Writes it.
    pub fn write(&self) {
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

/// A creation with generateName has no name yet.
fn name(request: &Request<'_>) -> Option<String> {
    if !request.name.is_empty() {
        return Some(request.name.clone().into_owned());
    }
    let metadata = &request.object.as_ref()?.metadata;
    metadata.name.clone().or_else(|| metadata.generate_name.clone())
}
